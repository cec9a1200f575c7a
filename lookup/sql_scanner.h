// lookup/sql_scanner.h -- where in an SQL text quotes, comments and placeholders stand.
//
// Reads a template's pieces as one text, PostgreSQL's lexical rules (manual section 4.1) or
// SQLite's. It knows no grammar.
#pragma once

#include <string>
#include <vector>

#include "lookup/sql_statement.h"

namespace lmtpd::lookup {

struct SqlScan {
  std::vector<SqlQuoting> quoting;  // of each placeholder, in order
  // The text with each literal that holds placeholders as a parameter. Only if `certain`.
  std::string prepared_text;
  std::vector<std::vector<Template::Piece>> parameters;
  // Every placeholder is in a literal whose value is known whatever the server's settings.
  bool certain = true;
};

[[nodiscard]] SqlScan scan_sql(const std::vector<Template::Piece>& pieces, SqlDialect dialect);

}  // namespace lmtpd::lookup
