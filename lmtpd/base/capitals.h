// lmtpd/base/capitals.h -- words that are the same in either case, as one.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace lmtpd {

// ASCII's letters only, whatever the locale.
inline std::string capitals(std::string_view word) {
  std::string out(word);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return out;
}

}  // namespace lmtpd
