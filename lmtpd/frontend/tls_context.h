// lmtpd/frontend/tls_context.h -- what all TLS sessions of this process share: certificates and
// keys, protocols and ciphers, whom clients' certificates have to come from.
//
// Made once, from files that master opened: a reload starts new frontends with new ones.
// Renegotiation and compression are off. Sessions are resumed by tickets under a key of this
// process alone, which goes with it.
#pragma once

#include <openssl/ssl.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/result.h"

namespace lmtpd::frontend {

class TlsContext {
 public:
  // A file's text by its path.
  using ReadFile = std::function<Result<std::string>(const std::string& path)>;

  // Fails, with a reason that has no meaning, on a file that is no PEM or holds the wrong things,
  // on a key that is not its certificate's, and on a cipher list that leaves nothing. The text
  // begins with the parameter's name.
  [[nodiscard]] static Result<TlsContext> make(const Settings& settings, const ReadFile& read_file);

  // What is not wrong and should be mended: own certificates, of the chain, too, and authorities
  // that have expired, will soon, or are not valid yet. A line each, as make()'s errors.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
  [[nodiscard]] SSL_CTX* get() const { return context_.get(); }
  [[nodiscard]] bool asks_for_certificates() const { return asks_for_certificates_; }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }
  };
  TlsContext();

  std::unique_ptr<SSL_CTX, Free> context_;
  bool asks_for_certificates_ = false;
  std::vector<std::string> warnings_;
};

}  // namespace lmtpd::frontend
