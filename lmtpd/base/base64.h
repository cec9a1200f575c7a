// lmtpd/base/base64.h -- RFC 4648 section 4: the standard alphabet, with padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lmtpd {

[[nodiscard]] std::string to_base64(std::string_view octets);

// nullopt where `text` is not exactly what to_base64() makes of something: other characters, white
// space, missing or needless padding, bits left over.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace lmtpd
