#include "lookup/check/row_listing.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <sqlite3.h>

#include <algorithm>
#include <memory>

#include "lmtpd/base/log.h"
#include "lookup/check/listing_query.h"
#include "lookup/files/sql_parameters.h"
#include "lookup/files/table_file.h"
#include "lookup/pgsql_handles.h"
#include "lookup/pgsql_hosts.h"
#include "lookup/sql_config.h"

namespace lmtpd::lookup {
namespace {

using Take = std::function<void(Row)>;

Result<PgConnPtr> connect(const TableFile& file, std::chrono::milliseconds timeout) {
  const auto hosts = parse_pgsql_hosts(pgsql_login(file));
  if (!hosts) return file.error("hosts", hosts.error().text);
  const auto seconds = std::max<std::int64_t>(2, timeout.count() / 1000);  // libpq's least
  std::string failures;
  for (const PgsqlHost& host : *hosts) {
    std::vector<const char*> keywords;
    std::vector<const char*> values;
    for (const auto& [keyword, value] : host.parameters) {
      keywords.push_back(keyword.c_str());
      values.push_back(value.c_str());
    }
    const std::string limit = std::to_string(seconds);
    keywords.insert(keywords.end(), {"connect_timeout", nullptr});
    values.insert(values.end(), {limit.c_str(), nullptr});
    PgConnPtr connection(PQconnectdbParams(keywords.data(), values.data(), 0));
    if (PQstatus(connection.get()) == CONNECTION_OK) return connection;
    failures += (failures.empty() ? "" : "; ") + pgsql_message(PQerrorMessage(connection.get()));
  }
  return fail(Reason::lookup_failed, fmt::format("pgsql:{}: {}", file.path(), failures));
}

Row row_of(const PGresult* result) {
  Row row{PQgetvalue(result, 0, 0), {}};
  for (int column = 1; column < PQnfields(result); ++column) {
    row.values.emplace_back();
    if (PQgetisnull(result, 0, column) == 0) row.values.back() = PQgetvalue(result, 0, column);
  }
  return row;
}

Result<void> list_pgsql(const TableFile& file, const std::string& query,
                        std::chrono::milliseconds timeout, const Take& take) {
  const Result<PgConnPtr> connection = connect(file, timeout);
  if (!connection) return tl::unexpected(connection.error());
  const auto failed = [&](const PGresult* result = nullptr) {
    // Of a data exception (class 22) the server may quote the value that it is about.
    const char* state = result != nullptr ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : nullptr;
    const bool may_quote = state != nullptr && std::string_view(state).starts_with("22");
    return fail(Reason::lookup_failed,
                fmt::format("pgsql:{}: {}", file.path(),
                            may_quote ? fmt::format("the query fails at a row (SQLSTATE {})", state)
                                      : pgsql_message(PQerrorMessage(connection->get()))));
  };
  if (PQsendQuery(connection->get(), query.c_str()) != 1 ||
      PQsetSingleRowMode(connection->get()) != 1) {
    return failed();
  }
  while (const PgResultPtr result{PQgetResult(connection->get())}) {
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_SINGLE_TUPLE) {
      take(row_of(result.get()));
    } else if (status != PGRES_TUPLES_OK) {
      return failed(result.get());
    }
  }
  return {};
}

struct DatabaseDeleter {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
struct StatementDeleter {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

Result<void> list_sqlite(const TableFile& file, const std::string& query, const Take& take) {
  const auto path = file.required_text("dbpath");
  if (!path) return tl::unexpected(path.error());
  sqlite3* opened = nullptr;
  const int status = sqlite3_open_v2(path->c_str(), &opened, SQLITE_OPEN_READONLY, nullptr);
  const std::unique_ptr<sqlite3, DatabaseDeleter> database(opened);
  const auto failed = [&] {
    return fail(Reason::lookup_failed,
                fmt::format("sqlite:{}: {}: {}", file.path(), *path, sqlite3_errmsg(opened)));
  };
  if (status != SQLITE_OK) return failed();
  sqlite3_stmt* prepared = nullptr;
  if (sqlite3_prepare_v2(opened, query.c_str(), -1, &prepared, nullptr) != SQLITE_OK) {
    return failed();
  }
  const std::unique_ptr<sqlite3_stmt, StatementDeleter> statement(prepared);
  const auto text = [&](int column) -> std::optional<std::string> {
    const auto* octets = reinterpret_cast<const char*>(sqlite3_column_text(prepared, column));
    if (octets == nullptr) return std::nullopt;
    return std::string(octets, static_cast<std::size_t>(sqlite3_column_bytes(prepared, column)));
  };
  int step = sqlite3_step(prepared);
  for (; step == SQLITE_ROW; step = sqlite3_step(prepared)) {
    // The value is the first column behind the key, as for a lookup.
    take(Row{text(0).value_or(""), {text(1)}});
  }
  if (step != SQLITE_DONE) return failed();
  return {};
}

}  // namespace

Result<Listed> list_rows(const TableRef& table, const FileReader& read_file,
                         std::chrono::milliseconds connect_timeout, const Take& take) {
  const bool is_pgsql = table.kind == TableKind::pgsql;
  if (!is_pgsql && table.kind != TableKind::sqlite) return Listed::no_database;
  const auto text = read_file(table.name);
  if (!text) return tl::unexpected(text.error());
  const auto file = TableFile::parse(table.name, *text, known_parameters(table.kind));
  if (!file) return tl::unexpected(file.error());
  const auto query = sql_query_text(*file, is_pgsql ? SqlDialect::postgresql : SqlDialect::sqlite);
  if (!query) return tl::unexpected(query.error());
  const std::optional<std::string> listing = listing_query(query->text);
  if (!listing) return Listed::not_understood;
  const Result<void> listed = is_pgsql ? list_pgsql(*file, *listing, connect_timeout, take)
                                       : list_sqlite(*file, *listing, take);
  if (!listed) return tl::unexpected(listed.error());
  return Listed::yes;
}

}  // namespace lmtpd::lookup
