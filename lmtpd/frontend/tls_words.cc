#include "lmtpd/frontend/tls_words.h"

#include <openssl/err.h>

namespace lmtpd::frontend {

std::string openssl_words() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* words = ERR_reason_error_string(code);
  return words == nullptr ? "unknown error" : words;
}

}  // namespace lmtpd::frontend
