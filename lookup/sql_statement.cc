#include "lookup/sql_statement.h"

#include <algorithm>

#include "lookup/sql_scanner.h"

namespace lmtpd::lookup {

SqlStatement::SqlStatement(Template query, SqlDialect dialect) : query_(std::move(query)) {
  SqlScan scan = scan_sql(query_.pieces(), dialect);
  quoting_ = std::move(scan.quoting);
  can_prepare_ = scan.certain;
  if (!can_prepare_) return;
  prepared_text_ = std::move(scan.prepared_text);
  parameters_ = std::move(scan.parameters);
}

std::vector<std::string> SqlStatement::parameters(const Parts& key) const {
  std::vector<std::string> values;
  values.reserve(parameters_.size());
  for (const auto& pieces : parameters_) {
    std::string& value = values.emplace_back();
    for (const Template::Piece& piece : pieces) {
      value += piece.placeholder == 0 ? piece.text : substitute(piece.placeholder, key, key);
    }
  }
  return values;
}

std::optional<std::string> SqlStatement::text_for(const Parts& key, const Escape& escape) const {
  std::string text;
  std::size_t nth = 0;
  for (const Template::Piece& piece : query_.pieces()) {
    if (piece.placeholder == 0) {
      text += piece.text;
      continue;
    }
    const auto escaped_value = escape(substitute(piece.placeholder, key, key), quoting_[nth++]);
    if (!escaped_value) return std::nullopt;
    text += *escaped_value;
  }
  return text;
}

bool SqlStatement::has_unquoted_placeholder() const {
  return std::find(quoting_.begin(), quoting_.end(), SqlQuoting::none) != quoting_.end();
}

}  // namespace lmtpd::lookup
