// lookup/table_factory.h -- from a table's name in the configuration to the table.
//
// Takes postconf(5) table references: pgsql:FILE, sqlite:FILE, static:VALUE, inline:{...},
// texthash:FILE, and hash:, btree:, lmdb:, cdb: FILE, which are read from their source FILE. A
// leading `proxy:` counts for nothing. Other types are refused with words that say what to do
// instead.
#pragma once

#include <event2/event.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/result.h"
#include "lookup/table.h"

namespace lmtpd::lookup {

class ConfiguredTable;
class PgsqlServer;

// The text of a file that a table reference names, or why it cannot be had.
using FileReader = std::function<Result<std::string>(const std::string& path)>;

struct TableContext {
  event_base* base;
  FileReader read_file;
  std::chrono::milliseconds db_connect_timeout{5000};
  std::chrono::milliseconds db_query_timeout{10000};
};

// Owns the connections to PostgreSQL, one for all tables with the same hosts, user, password,
// dbname and encoding. It outlives the tables it made.
class TableFactory {
 public:
  explicit TableFactory(TableContext context);
  ~TableFactory();
  TableFactory(const TableFactory&) = delete;
  TableFactory& operator=(const TableFactory&) = delete;

  // Reads the configuration only; a database is connected to once the loop runs. Fails with
  // lookup_failed and a text that names file, line and parameter.
  [[nodiscard]] Result<std::unique_ptr<Table>> make_table(std::string_view reference);

  // Makes the table and has its database prepare its query once. Runs the event loop until that is
  // answered: for `lmtpd -t` and before service begins, never from a callback.
  [[nodiscard]] Result<void> check(std::string_view reference);

 private:
  Result<std::unique_ptr<ConfiguredTable>> make(std::string_view reference, int depth);
  Result<std::unique_ptr<ConfiguredTable>> make_pgsql(std::string name, const std::string& path,
                                                      int depth);
  Result<std::unique_ptr<ConfiguredTable>> make_sqlite(std::string name, const std::string& path,
                                                       int depth);

  TableContext context_;
  std::vector<std::unique_ptr<PgsqlServer>> servers_;
};

}  // namespace lmtpd::lookup
