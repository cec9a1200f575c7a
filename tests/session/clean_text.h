// tests/session/clean_text.h -- what the session may write into a line of the log or of a header,
// whatever its client said.
#pragma once

#include <string_view>

#include "lmtpd/base/utf8.h"

namespace lmtpd::session {

// UTF-8 without controls: C0 (and so without line ends), DEL and C1 (U+0080 to U+009F, which some
// terminals obey).
[[nodiscard]] inline bool is_clean(std::string_view line) {
  while (!line.empty()) {
    const std::size_t length = utf8_sequence(line);
    if (length == 0) return false;
    const auto first = static_cast<unsigned char>(line[0]);
    if (first < 0x20 || first == 0x7F) return false;
    if (first == 0xC2 && static_cast<unsigned char>(line[1]) < 0xA0) return false;
    line.remove_prefix(length);
  }
  return true;
}

}  // namespace lmtpd::session
