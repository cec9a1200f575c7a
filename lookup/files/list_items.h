// lookup/files/list_items.h -- lists as postconf(5) writes them: commas or white space between the
// items, neither of which divides within braces.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace lmtpd::lookup {

// The items, in order, none empty. Unbalanced braces are taken as they come.
[[nodiscard]] std::vector<std::string_view> list_items(std::string_view list);

// What one pair of braces around the whole of `text` holds, trimmed; else nullopt.
[[nodiscard]] std::optional<std::string_view> braced(std::string_view text);

}  // namespace lmtpd::lookup
