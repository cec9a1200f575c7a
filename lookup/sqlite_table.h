// lookup/sqlite_table.h -- sqlite_table(5): answers at once, from a database file of its own.
//
// The file is opened read-only at the first lookup, and again whenever its name leads to another
// file. What cannot be opened, read or prepared is Unavailable. As in Postfix a row's first column
// is its value. A lookup waits at most 200 ms for another program's write lock; then the table's
// next ones do not wait, until one has read the file or a second has passed: the loop stands still
// meanwhile.
#pragma once

#include <sqlite3.h>
#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>

#include "lookup/configured_table.h"
#include "lookup/empty_result_log.h"
#include "lookup/sql_config.h"

namespace lmtpd::lookup {

class SqliteTable final : public ConfiguredTable {
 public:
  SqliteTable(std::string name, std::string database_path, SqlConfig config);

  std::optional<Answer> lookup(std::string_view key, Asker& asker, std::uint64_t id) override;
  std::optional<Answer> check(Asker& asker, std::uint64_t id) override;

 private:
  struct DatabaseDeleter {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };
  struct StatementDeleter {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using StatementPtr = std::unique_ptr<sqlite3_stmt, StatementDeleter>;

  Result<void> open();
  void set_patience();
  Result<void> prepare();
  Result<StatementPtr> compile(const std::string& text);
  Result<StatementPtr> compile_text_for(std::string_view key);
  Answer run(sqlite3_stmt* statement, std::string_view key);
  [[nodiscard]] Unavailable unavailable(const Error& error) const;
  // Of the last call.
  [[nodiscard]] bool is_locked() const;
  [[nodiscard]] tl::unexpected<Error> database_error();

  std::string database_path_;
  SqlConfig config_;
  // Closed after its statements.
  std::unique_ptr<sqlite3, DatabaseDeleter> database_;
  std::chrono::steady_clock::time_point locked_at_{};
  dev_t device_ = 0;
  ino_t inode_ = 0;
  StatementPtr statement_;
  bool as_text_ = false;  // the query cannot be prepared with parameters
  EmptyResultLog empty_results_;
};

}  // namespace lmtpd::lookup
