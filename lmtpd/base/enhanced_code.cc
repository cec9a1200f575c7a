#include "lmtpd/base/enhanced_code.h"

#include <cstddef>

#include "lmtpd/base/blanks.h"

namespace lmtpd {

std::string_view take_enhanced_code(std::string_view& words) {
  if (!words.starts_with('4') && !words.starts_with('5')) return {};
  std::size_t at = 1;
  for (int field = 0; field < 2; ++field) {
    if (at >= words.size() || words[at] != '.') return {};
    const std::size_t first = ++at;
    while (at < words.size() && words[at] >= '0' && words[at] <= '9') ++at;
    const std::size_t digits = at - first;
    if (digits == 0 || digits > 3 || (digits > 1 && words[first] == '0')) return {};
  }
  const std::string_view code = words.substr(0, at);
  while (at < words.size() && is_blank(words[at])) ++at;
  if (at == code.size() && at < words.size()) return {};
  words.remove_prefix(at);
  return code;
}

}  // namespace lmtpd
