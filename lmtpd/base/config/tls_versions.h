// lmtpd/base/config/tls_versions.h -- the parameter `tls_protocols`: TLS 1.2 and up (RFC 8996).
#pragma once

#include <cstdint>

namespace lmtpd {

enum class TlsVersion : std::uint8_t { tls_1_2, tls_1_3 };

struct TlsVersions {
  TlsVersion least = TlsVersion::tls_1_2;
  TlsVersion most = TlsVersion::tls_1_3;
  bool operator==(const TlsVersions&) const = default;
};

}  // namespace lmtpd
