// lmtpd/frontend/tls_words.h -- OpenSSL's errors as text.
#pragma once

#include <string>

namespace lmtpd::frontend {

// Of this thread's queue of errors, which is empty afterwards: the first one's words.
[[nodiscard]] std::string openssl_words();

}  // namespace lmtpd::frontend
