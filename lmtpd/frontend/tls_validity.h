// lmtpd/frontend/tls_validity.h -- what an administrator should know of a certificate's dates.
#pragma once

#include <openssl/x509.h>

#include <ctime>
#include <optional>
#include <string>

namespace lmtpd::frontend {

// In words, with the date and whose certificate it is: it has expired, is not valid yet, or expires
// soon, which is within 14 days, or within a quarter of its life where that is shorter: who renews
// a certificate of 90, 45 or 6 days in time is not warned. None: nothing to say. `now` as of
// time(2).
[[nodiscard]] std::optional<std::string> validity_warning(const X509* certificate, std::time_t now);

}  // namespace lmtpd::frontend
