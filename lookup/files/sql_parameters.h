// lookup/files/sql_parameters.h -- the parameters that pgsql_table(5) and sqlite_table(5) know.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "lmtpd/base/config/table_ref.h"

namespace lmtpd::lookup {

// idle_interval and retry_interval are Postfix's connection handling, which is not ours.
inline constexpr std::array<std::string_view, 16> kPgsqlParameters = {
    "hosts",           "user",          "password",        "dbname",
    "encoding",        "idle_interval", "retry_interval",  "query",
    "table",           "select_field",  "where_field",     "additional_conditions",
    "select_function", "result_format", "expansion_limit", "domain"};

inline constexpr std::array<std::string_view, 9> kSqliteParameters = {
    "dbpath",        "query",           "table",
    "select_field",  "where_field",     "additional_conditions",
    "result_format", "expansion_limit", "domain"};

// Of the file behind a pgsql: or an sqlite: table.
[[nodiscard]] inline std::span<const std::string_view> known_parameters(TableKind kind) {
  if (kind == TableKind::pgsql) return kPgsqlParameters;
  return kSqliteParameters;
}

}  // namespace lmtpd::lookup
