// lookup/table_factory.h -- from a table's name in the configuration to the table.
//
// Takes postconf(5) table references: pgsql:FILE, sqlite:FILE, static:VALUE, inline:{...},
// texthash:FILE, and hash:, btree:, lmdb:, cdb: FILE, which are read from their source FILE. A
// leading `proxy:` counts for nothing. Other types are refused with words that say what to do
// instead.
#pragma once

#include <event2/event.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/config/table_ref.h"
#include "lmtpd/base/messages.h"
#include "lmtpd/base/result.h"
#include "lookup/files/file_reader.h"
#include "lookup/table.h"

namespace lmtpd::lookup {

class ConfiguredTable;
class PgsqlServer;
struct PgsqlLogin;
class TableFile;

struct TableContext {
  event_base* base;
  FileReader read_file;
  std::chrono::milliseconds db_connect_timeout{5000};
  std::chrono::milliseconds db_query_timeout{10000};
  bool prepare_statements = true;
  std::chrono::milliseconds db_retry_interval{60000};  // of the hosts before the one in use
  std::size_t most_recipients = kResolveWindow;        // of all frontends, under way at a time
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
  [[nodiscard]] Result<std::unique_ptr<Table>> make_table(const TableRef& reference);

  // The connections to PostgreSQL, for statistics.
  [[nodiscard]] const std::vector<std::unique_ptr<PgsqlServer>>& servers() const {
    return servers_;
  }

  // The servers of all tables made so far, or where `notify_hosts` names others, those with their
  // logins.
  [[nodiscard]] Result<std::vector<PgsqlServer*>> notice_servers(const std::string& notify_hosts);

  // Makes the table and has its database prepare its query once. Runs the event loop until that is
  // answered: for `lmtpd -t` and before service begins, never from a callback.
  [[nodiscard]] Result<void> check(const TableRef& reference);

 private:
  using Made = Result<std::unique_ptr<ConfiguredTable>>;
  Made make(const TableRef& reference, int depth);
  Made make_pgsql(const TableRef& reference, int depth);
  Made make_sqlite(const TableRef& reference, int depth);
  Made make_text_file(const TableRef& reference);
  // Puts the file's `domain` list in front of the table.
  Made filtered(const TableFile& file, const std::string& domain_list,
                std::unique_ptr<ConfiguredTable> table, int depth);
  Result<PgsqlServer*> server_for(const PgsqlLogin& login);
  Result<TableFile> read_parameters(const TableRef& reference);

  TableContext context_;
  std::vector<std::unique_ptr<PgsqlServer>> servers_;
};

}  // namespace lmtpd::lookup
