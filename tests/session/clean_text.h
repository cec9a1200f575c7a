// tests/session/clean_text.h -- what the session may write into a line of the log or of a header,
// whatever its client said.
#pragma once

#include <string_view>

#include "lmtpd/base/utf8.h"

namespace lmtpd::session {

// UTF-8 without controls: C0 (and so without line ends), DEL, C1, which some terminals obey, what
// some viewers take for a line's end (U+2028, U+2029), and what turns the direction of the text
// (U+202A to U+202E, U+2066 to U+2069).
[[nodiscard]] inline bool is_clean(std::string_view line) {
  while (!line.empty()) {
    const std::size_t length = utf8_sequence(line);
    if (length == 0) return false;
    const auto first = static_cast<unsigned char>(line[0]);
    if (first < 0x20 || first == 0x7F) return false;
    if (first == 0xC2 && static_cast<unsigned char>(line[1]) < 0xA0) return false;
    for (const std::string_view obeyed :
         {"\u2028", "\u2029", "\u202A", "\u202B", "\u202C", "\u202D", "\u202E", "\u2066", "\u2067",
          "\u2068", "\u2069"}) {
      if (line.starts_with(obeyed)) return false;
    }
    line.remove_prefix(length);
  }
  return true;
}

// The fields that were put before a message. Received is the last of them, and its date, in UTC,
// the last of it.
[[nodiscard]] inline std::string_view trace_of(std::string_view message) {
  const std::size_t date = message.find("+0000", message.find("\nReceived: "));
  return message.substr(0, message.find('\n', date) + 1);
}

// Of such fields each line, with LF, or CR LF as before BINARYMIME, and the tab where it is folded.
[[nodiscard]] inline bool are_clean(std::string_view fields) {
  if (fields.empty()) return false;
  while (!fields.empty()) {
    const std::size_t end = fields.find('\n');
    if (end == std::string_view::npos) return false;
    std::string_view line = fields.substr(0, end);
    fields.remove_prefix(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with('\t')) line.remove_prefix(1);
    if (!is_clean(line)) return false;
  }
  return true;
}

}  // namespace lmtpd::session
