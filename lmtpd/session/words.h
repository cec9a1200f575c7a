// lmtpd/session/words.h -- the words of a command, which spaces part.
#pragma once

#include <algorithm>
#include <string_view>

namespace lmtpd::session {

[[nodiscard]] inline std::string_view without_leading_spaces(std::string_view text) {
  return text.substr(std::min(text.size(), text.find_first_not_of(' ')));
}

// Cuts the first word off `text`, and the spaces behind it. Empty where `text` begins with one.
[[nodiscard]] inline std::string_view take_word(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find(' '));
  text = without_leading_spaces(text.substr(word.size()));
  return word;
}

}  // namespace lmtpd::session
