#include "lookup/sqlite_table.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "lmtpd/base/blanks.h"
#include "lmtpd/base/log.h"

namespace lmtpd::lookup {
namespace {

using std::chrono::steady_clock;

constexpr int kBusyMilliseconds = 200;
constexpr std::chrono::seconds kImpatientFor{1};

std::optional<std::string> escape(std::string_view value, SqlQuoting quoting) {
  const char quote = quoting == SqlQuoting::identifier ? '"' : '\'';
  std::string out;
  for (const char c : value) {
    if (c == quote) out += c;
    out += c;
  }
  return out;
}

}  // namespace

SqliteTable::SqliteTable(std::string name, std::string database_path, SqlConfig config)
    : ConfiguredTable(std::move(name)),
      database_path_(std::move(database_path)),
      config_(std::move(config)),
      as_text_(!config_.statement.can_prepare()) {}

std::optional<Answer> SqliteTable::lookup(std::string_view key, Asker&, std::uint64_t) {
  if (!config_.asks_for(key)) return Absent{};
  if (const auto opened = open(); !opened) return unavailable(opened.error());
  if (as_text_) {
    const auto statement = compile_text_for(key);
    if (!statement) return unavailable(statement.error());
    return run(statement->get(), key);
  }
  const auto values = config_.statement.parameters(Parts(key));
  for (std::size_t i = 0; i < values.size(); ++i) {
    sqlite3_bind_text(statement_.get(), static_cast<int>(i + 1), values[i].data(),
                      static_cast<int>(values[i].size()), SQLITE_STATIC);
  }
  Answer answer = run(statement_.get(), key);
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  return answer;
}

std::optional<Answer> SqliteTable::check(Asker&, std::uint64_t) {
  if (const auto opened = open(); !opened) return unavailable(opened.error());
  if (as_text_) {
    const auto statement = compile_text_for(kSampleKey);
    if (!statement) return unavailable(statement.error());
  }
  return Absent{};
}

// Nothing to do where the name still leads to the file that is open.
Result<void> SqliteTable::open() {
  struct stat status{};
  if (stat(database_path_.c_str(), &status) != 0) {
    return fail(Reason::lookup_failed, errno_text(database_path_, errno));
  }
  if (statement_ || (database_ && as_text_)) {
    if (status.st_dev == device_ && status.st_ino == inode_) {
      set_patience();
      return {};
    }
  }
  statement_.reset();
  sqlite3* opened = nullptr;
  const int code = sqlite3_open_v2(database_path_.c_str(), &opened,
                                   SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  database_.reset(opened);
  if (code != SQLITE_OK) return database_error();
  sqlite3_extended_result_codes(opened, 1);
  set_patience();
  device_ = status.st_dev;
  inode_ = status.st_ino;
  as_text_ = !config_.statement.can_prepare();
  return as_text_ ? Result<void>() : prepare();
}

void SqliteTable::set_patience() {
  const bool is_impatient = steady_clock::now() - locked_at_ < kImpatientFor;
  sqlite3_busy_timeout(database_.get(), is_impatient ? 0 : kBusyMilliseconds);
}

Result<void> SqliteTable::prepare() {
  auto statement = compile(config_.statement.prepared_text());
  if (statement) {
    statement_ = *std::move(statement);
    return {};
  }
  if (is_locked()) return tl::unexpected(statement.error());
  // What the parameters broke is well as text.
  const auto text = compile_text_for(kSampleKey);
  if (!text) return tl::unexpected(statement.error());
  log_info("{}: the query takes no parameters ({}); it is sent as text", name(),
           statement.error().text);
  as_text_ = true;
  return {};
}

Result<SqliteTable::StatementPtr> SqliteTable::compile(const std::string& text) {
  sqlite3_stmt* compiled = nullptr;
  const char* behind = nullptr;
  const int code = sqlite3_prepare_v2(database_.get(), text.c_str(),
                                      static_cast<int>(text.size() + 1), &compiled, &behind);
  StatementPtr statement(compiled);
  if (code != SQLITE_OK) return database_error();
  if (!statement) return fail(Reason::lookup_failed, "the query is empty");
  if (!trimmed(behind).empty()) {
    return fail(Reason::lookup_failed, "the query is more than one statement");
  }
  return statement;
}

Result<SqliteTable::StatementPtr> SqliteTable::compile_text_for(std::string_view key) {
  const auto text = config_.statement.text_for(Parts(key), escape);
  if (!text) return fail(Reason::lookup_failed, "the key cannot be quoted");
  return compile(*text);
}

Answer SqliteTable::run(sqlite3_stmt* statement, std::string_view key) {
  std::vector<std::string> values;
  int code = sqlite3_step(statement);
  for (; code == SQLITE_ROW; code = sqlite3_step(statement)) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, 0));
    values.emplace_back(text == nullptr ? std::string() : std::string(text, size));
  }
  if (code != SQLITE_DONE) return unavailable(database_error().value());
  locked_at_ = {};
  empty_results_.look(name(), key, values);
  Answer answer = config_.answer(key, values);
  if (auto* unusable = std::get_if<Unavailable>(&answer)) {
    unusable->why = fmt::format("{}: {}", name(), unusable->why);
  }
  return answer;
}

Unavailable SqliteTable::unavailable(const Error& error) const {
  return Unavailable{fmt::format("{}: {}", name(), error.text)};
}

bool SqliteTable::is_locked() const {
  // The primary code is the last octet.
  return (sqlite3_errcode(database_.get()) & 0xFF) == SQLITE_BUSY;
}

tl::unexpected<Error> SqliteTable::database_error() {
  if (is_locked()) locked_at_ = steady_clock::now();
  return fail(Reason::lookup_failed,
              fmt::format("{}: {}", database_path_, escaped(sqlite3_errmsg(database_.get()))));
}

}  // namespace lmtpd::lookup
