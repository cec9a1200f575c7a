// lookup/sql_statement.h -- a query template as a prepared statement.
//
// Each quoted literal that holds placeholders becomes one parameter, whose value is that literal
// with the placeholders filled in: `'%s'` is $1 with the key, `'@%d'` is $1 with "@domain.org". The
// server types such a parameter exactly as it types the literal, so that '@%d' compares with a
// citext column as citext. ('@'||$1 would be text: equality would become case-sensitive, or fail
// for an integer.)
//
// Where the scan is not certain of the quoting, or a placeholder stands outside quotes, the
// statement is sent as text for each lookup, every piece escaped, as Postfix does it. What the scan
// cannot see
// (`date '%s'`) the server refuses to prepare; the caller then takes the textual form as well.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lookup/template.h"

namespace lmtpd::lookup {

enum class SqlDialect { postgresql, sqlite };

// A key to check a query with that is sent as text: a number where a placeholder stands outside
// quotes, and a domain of nine labels.
inline constexpr std::string_view kSampleKey = "1@1.1.1.1.1.1.1.1.1";

// What a placeholder stands in.
enum class SqlQuoting {
  literal,         // '...'
  escape_literal,  // E'...'
  identifier,      // "..."
  none,            // bare, in a comment, in $$...$$
};

class SqlStatement {
 public:
  // `value` escaped for a place of that kind; nullopt where it cannot be.
  using Escape = std::function<std::optional<std::string>(std::string_view value, SqlQuoting)>;

  SqlStatement(Template query, SqlDialect dialect);

  [[nodiscard]] const Template& query() const { return query_; }

  // Whether there is a prepared form: with parameters $1.. (PostgreSQL) or ?1.. (SQLite).
  [[nodiscard]] bool can_prepare() const { return can_prepare_; }
  [[nodiscard]] const std::string& prepared_text() const { return prepared_text_; }
  [[nodiscard]] std::vector<std::string> parameters(const Parts& key) const;

  // The textual form.
  [[nodiscard]] std::optional<std::string> text_for(const Parts& key, const Escape& escape) const;

  // A placeholder stands where escaping does not protect: who chooses the key writes SQL.
  [[nodiscard]] bool has_unquoted_placeholder() const;

 private:
  Template query_;
  std::vector<SqlQuoting> quoting_;  // of each piece of query_ that is a placeholder, in order
  bool can_prepare_ = true;
  std::string prepared_text_;
  std::vector<std::vector<Template::Piece>> parameters_;
};

}  // namespace lmtpd::lookup
