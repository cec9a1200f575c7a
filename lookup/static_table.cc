#include "lookup/static_table.h"

#include <fmt/format.h>

#include "lmtpd/base/blanks.h"
#include "lmtpd/base/config/values.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/utf8.h"

namespace lmtpd::lookup {

Result<std::unique_ptr<StaticTable>> StaticTable::make(std::string name, std::string_view value) {
  value = braced(value).value_or(trimmed(value));
  if (value.empty() || !valid_utf8(value)) {
    return fail(Reason::lookup_failed,
                fmt::format("{}: needs a value in UTF-8 behind the colon", escaped(name)));
  }
  return std::unique_ptr<StaticTable>(new StaticTable(std::move(name), std::string(value)));
}

std::optional<Answer> StaticTable::lookup(std::string_view, Asker&, std::uint64_t) {
  return Found{{value_}};
}

std::optional<Answer> StaticTable::check(Asker&, std::uint64_t) { return Absent{}; }

}  // namespace lmtpd::lookup
