#include "lookup/inline_table.h"

#include <fmt/format.h>

#include <vector>

#include "lmtpd/base/blanks.h"
#include "lmtpd/base/config/values.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/utf8.h"
#include "lookup/memory_table.h"

namespace lmtpd::lookup {

Result<std::unique_ptr<ConfiguredTable>> make_inline_table(std::string name,
                                                           std::string_view pairs) {
  const auto wrong = [&](std::string_view what) {
    return fail(Reason::lookup_failed,
                fmt::format("{}: {}; it is written inline:{{key=value, {{key = text}}}}",
                            escaped(name), what));
  };
  if (!valid_utf8(pairs)) return wrong("not valid UTF-8");
  const auto inside = braced(pairs);
  if (!inside) return wrong("no balanced braces around the table");
  auto table = std::make_unique<MemoryTable>(name);
  const auto items = split_list(*inside);
  if (!items) return wrong(escaped(items.error(), 60));
  for (const std::string_view item : *items) {
    const std::string_view pair = braced(item).value_or(item);
    const std::size_t equals = pair.find('=');
    const std::string_view key = trimmed(pair.substr(0, equals));
    if (equals == std::string_view::npos || key.empty()) {
      return wrong(fmt::format("\"{}\" is no key=value", escaped(pair, 60)));
    }
    const std::string_view value = trimmed(pair.substr(equals + 1));
    if (value.empty()) return wrong(fmt::format("key \"{}\" has no value", escaped(key, 60)));
    table->replace(key, value);
  }
  if (items->empty()) return wrong("empty table");
  return table;
}

}  // namespace lmtpd::lookup
