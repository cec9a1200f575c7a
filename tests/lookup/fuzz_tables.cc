// Whatever a table file or a key holds: no crash, and a prepared statement has as many parameters
// as its text names.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lmtpd/base/config/values.h"
#include "lookup/files/match_list.h"
#include "lookup/files/sql_parameters.h"
#include "lookup/sql_config.h"

using namespace lmtpd::lookup;

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
  if (file) (void)parse_sql_config(*file, SqlDialect::sqlite);

  const auto query = Template::parse(text);
  if (!query) return 0;
  const Parts parts(key);
  for (const SqlDialect dialect : {SqlDialect::postgresql, SqlDialect::sqlite}) {
    const SqlStatement statement(*query, dialect);
    const auto verbatim = [](std::string_view value, SqlQuoting) {
      return std::optional<std::string>(value);
    };
    if (!statement.text_for(parts, verbatim)) std::abort();
    if (!statement.can_prepare()) continue;
    const std::size_t count = statement.parameters(parts).size();
    const std::string last =
        (dialect == SqlDialect::postgresql ? "$" : "?") + std::to_string(count);
    if (count > 0 && statement.prepared_text().find(last) == std::string::npos) std::abort();
  }
  (void)query->format(parts, parts);
  return 0;
}
