// lmtpd/base/sasl.h -- what configuration and session know of a SASL mechanism by its name.
#pragma once

#include <cstddef>
#include <string_view>

namespace lmtpd {

inline constexpr std::size_t kLongestMechanism = 20;  // RFC 4422 3.1

// Whether the client sends the password itself, which is taken inside TLS only: all but SCRAM's
// (RFC 5802). `mechanism`: in capitals.
inline bool sends_password(std::string_view mechanism) { return !mechanism.starts_with("SCRAM-"); }

}  // namespace lmtpd
