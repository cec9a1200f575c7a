// lmtpd/base/sasl.h -- what configuration and session know of a SASL mechanism by its name.
#pragma once

#include <string_view>

namespace lmtpd {

// Whether the client sends the password itself, which is taken inside TLS only: all but SCRAM's
// (RFC 5802). `mechanism`: in capitals.
inline bool sends_password(std::string_view mechanism) { return !mechanism.starts_with("SCRAM-"); }

}  // namespace lmtpd
