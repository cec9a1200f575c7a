// lookup/auth/saslprep.h -- user names and passwords as SASL compares them (RFC 4013).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lmtpd::lookup {

// `text` mapped, in normalisation form KC. nullopt where it is not UTF-8, holds what RFC 4013
// prohibits (controls, private use, code points that Unicode 3.2 did not assign), mixes directions,
// or has over 1024 octets, as it stands or mapped.
[[nodiscard]] std::optional<std::string> saslprep(std::string_view text);

}  // namespace lmtpd::lookup
