// lookup/sql_config.h -- what pgsql_table(5) and sqlite_table(5) files have in common.
#pragma once

#include <string>
#include <vector>

#include "lookup/files/table_file.h"
#include "lookup/sql_statement.h"
#include "lookup/table.h"

namespace lmtpd::lookup {

struct SqlConfig {
  SqlStatement statement;
  Template result_format;
  int expansion_limit;      // 0: none
  std::string domain_list;  // the `domain` parameter; empty: none

  // Whether the table is asked for `key` at all.
  [[nodiscard]] bool asks_for(std::string_view key) const;
  // Its answer, from the values of every column of every row, in row order. Those that are empty,
  // as a NULL is here, are left out. Unavailable: they cannot be used; `why` is without the table.
  [[nodiscard]] Answer answer(std::string_view key, const std::vector<std::string>& values) const;
};

struct QueryText {
  std::string parameter;  // of the table file, to name in an error
  std::string text;       // with placeholders
};

// `query`, else (PostgreSQL) `select_function`, else `table`, `select_field`,
// `where_field` and `additional_conditions`, put together to the octet as Postfix does.
[[nodiscard]] Result<QueryText> sql_query_text(const TableFile& file, SqlDialect dialect);

[[nodiscard]] Result<SqlConfig> parse_sql_config(const TableFile& file, SqlDialect dialect);

}  // namespace lmtpd::lookup
