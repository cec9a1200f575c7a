// lmtpd/base/utf8.h -- is it UTF-8? (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF.)
#pragma once

#include <cstddef>
#include <string_view>

namespace lmtpd {

// Octets of the character that `text` begins with; 0 where it is malformed or `text` is empty.
[[nodiscard]] std::size_t utf8_sequence(std::string_view text);

[[nodiscard]] bool valid_utf8(std::string_view text);

}  // namespace lmtpd
