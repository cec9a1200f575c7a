// Whatever a table file or a key holds: no crash, and what says no says why. A prepared statement
// has as many parameters as its text names, and SQLite itself sees those and no other.
#include <sqlite3.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lmtpd/base/config/values.h"
#include "lookup/files/match_list.h"
#include "lookup/files/sql_parameters.h"
#include "lookup/sql_config.h"

using namespace lmtpd::lookup;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

// Nothing is executed, as pragmas may be while they are compiled.
int allow_reading(void*, int action, const char*, const char*, const char*, const char*) {
  return action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_FUNCTION ||
                 action == SQLITE_RECURSIVE
             ? SQLITE_OK
             : SQLITE_DENY;
}

sqlite3* database() {
  static sqlite3* const opened = [] {
    sqlite3* made = nullptr;
    must(sqlite3_open(":memory:", &made) == SQLITE_OK);
    must(sqlite3_exec(made, "CREATE TABLE t (a, b, c)", nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_set_authorizer(made, allow_reading, nullptr);
    return made;
  }();
  return opened;
}

void must_have_parameters(const std::string& text, std::size_t count) {
  sqlite3_stmt* compiled = nullptr;
  const char* behind = nullptr;
  const int code = sqlite3_prepare_v2(database(), text.c_str(), -1, &compiled, &behind);
  if (code == SQLITE_OK && compiled != nullptr && *behind == '\0') {
    must(static_cast<std::size_t>(sqlite3_bind_parameter_count(compiled)) == count);
  }
  sqlite3_finalize(compiled);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t nul = input.find('\0');
  const std::string_view text = input.substr(0, nul);
  const std::string_view key = nul == std::string_view::npos ? "u@b.a" : input.substr(nul + 1);

  if (const auto list = lmtpd::parse_match_list(text)) {
    (void)with_files_read(
        *list, [&](const std::string&) -> lmtpd::Result<std::string> { return std::string(key); });
  }
  const auto file = TableFile::parse("/fuzz.cf", text, kPgsqlParameters);
  must(file || !file.error().text.empty());
  if (file) {
    const auto config = parse_sql_config(*file, SqlDialect::sqlite);
    must(config || !config.error().text.empty());
  }

  const auto query = Template::parse(text);
  if (!query) return 0;
  const Parts parts(key);
  for (const SqlDialect dialect : {SqlDialect::postgresql, SqlDialect::sqlite}) {
    const SqlStatement statement(*query, dialect);
    const auto verbatim = [](std::string_view value, SqlQuoting) {
      return std::optional<std::string>(value);
    };
    must(statement.text_for(parts, verbatim).has_value());
    if (!statement.can_prepare()) continue;
    const std::size_t count = statement.parameters(parts).size();
    const std::string last =
        (dialect == SqlDialect::postgresql ? "$" : "?") + std::to_string(count);
    must(count == 0 || statement.prepared_text().find(last) != std::string::npos);
    if (dialect == SqlDialect::sqlite) must_have_parameters(statement.prepared_text(), count);
  }
  (void)query->format(parts, parts);
  return 0;
}
