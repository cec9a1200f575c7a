// lmtpd/base/capitals.h -- words that are the same in either case.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace lmtpd {

// ASCII's letters only, whatever the locale.
[[nodiscard]] constexpr char capital(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

[[nodiscard]] inline std::string capitals(std::string_view word) {
  std::string out(word);
  std::ranges::transform(out, out.begin(), capital);
  return out;
}

[[nodiscard]] constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, capital, capital);
}

}  // namespace lmtpd
