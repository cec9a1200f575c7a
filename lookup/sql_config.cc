#include "lookup/sql_config.h"

#include <fmt/format.h>

#include "lmtpd/base/log.h"
#include "lmtpd/base/utf8.h"

namespace lmtpd::lookup {

Result<QueryText> sql_query_text(const TableFile& file, SqlDialect dialect) {
  if (file.has("query")) {
    auto query = file.required_text("query");
    if (!query) return tl::unexpected(query.error());
    return QueryText{"query", *std::move(query)};
  }
  if (dialect == SqlDialect::postgresql && file.has("select_function")) {
    const auto function = file.required_text("select_function");
    if (!function) return tl::unexpected(function.error());
    return QueryText{"select_function", fmt::format("SELECT {}('%s')", *function)};
  }
  if (!file.has("table") && !file.has("select_field") && !file.has("where_field")) {
    return file.error("query", "missing (or table, select_field and where_field)");
  }
  const auto table = file.required_text("table");
  if (!table) return tl::unexpected(table.error());
  const auto select = file.required_text("select_field");
  if (!select) return tl::unexpected(select.error());
  const auto where = file.required_text("where_field");
  if (!where) return tl::unexpected(where.error());
  return QueryText{file.has("additional_conditions") ? "additional_conditions" : "table",
                   fmt::format("SELECT {} FROM {} WHERE {}='%s' {}", *select, *table, *where,
                               file.text("additional_conditions"))};
}

Result<SqlConfig> parse_sql_config(const TableFile& file, SqlDialect dialect) {
  const auto text = sql_query_text(file, dialect);
  if (!text) return tl::unexpected(text.error());
  auto query = Template::parse(text->text);
  if (!query) return file.error(text->parameter, query.error().text);
  auto format = Template::parse(file.text("result_format", "%s"));
  if (!format) return file.error("result_format", format.error().text);
  if (format->pieces().empty()) return file.error("result_format", "empty");
  const auto limit = file.number("expansion_limit", 0);
  if (!limit) return tl::unexpected(limit.error());

  SqlConfig config{SqlStatement(*std::move(query), dialect), *std::move(format), *limit,
                   file.text("domain")};
  if (config.statement.has_unquoted_placeholder()) {
    log_warning("{}: {}: a placeholder stands outside quotes: whoever sends mail chooses SQL text",
                file.path(), text->parameter);
  }
  return config;
}

bool SqlConfig::asks_for(std::string_view key) const {
  // No value in a database has a NUL, and a C interface would ask for what stands before it.
  if (key.find('\0') != std::string_view::npos) return false;
  const Parts parts(key);
  return statement.query().asks_for(parts) && result_format.formats_for(parts);
}

Answer SqlConfig::answer(std::string_view key, const std::vector<std::string>& values) const {
  const Parts key_parts(key);
  const auto unusable = [&](std::string_view what) {
    return Unavailable{fmt::format("the result for \"{}\" {}", escaped(key), what), true};
  };
  Found found;
  for (const std::string& value : values) {
    if (!valid_utf8(value)) return unusable("is not valid UTF-8");
    auto formatted = result_format.format(Parts(value), key_parts);
    if (!formatted || formatted->empty()) continue;
    if (expansion_limit > 0 && found.values.size() == static_cast<std::size_t>(expansion_limit)) {
      return unusable(fmt::format("has more values than expansion_limit = {}", expansion_limit));
    }
    found.values.push_back(*std::move(formatted));
  }
  if (found.values.empty()) return Absent{};
  return found;
}

}  // namespace lmtpd::lookup
