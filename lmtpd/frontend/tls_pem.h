// lmtpd/frontend/tls_pem.h -- certificates and private keys out of PEM text (RFC 7468).
//
// Blocks of other kinds (EC PARAMETERS, DH PARAMETERS) and text between blocks are passed over. A
// key with a passphrase is refused: nobody is there to type it. Errors name no file.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "lmtpd/base/result.h"

namespace lmtpd::frontend {

struct TlsFree {
  void operator()(X509* certificate) const { ::X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { ::EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { ::BIO_free(bio); }
  // The stack alone: the certificates are others'.
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};
using CertificatePtr = std::unique_ptr<X509, TlsFree>;
using BioPtr = std::unique_ptr<BIO, TlsFree>;
using KeyPtr = std::unique_ptr<EVP_PKEY, TlsFree>;
using CertificateStack = std::unique_ptr<STACK_OF(X509), TlsFree>;

struct KeyAndChain {
  KeyPtr key;
  std::vector<CertificatePtr> chain;  // the key's own first; one at least
};

// All certificates, one at least, in order; keys among them are passed over.
[[nodiscard]] Result<std::vector<CertificatePtr>> certificates_of(const std::string& pem);
// The one private key; certificates beside it are passed over.
[[nodiscard]] Result<KeyPtr> key_of(const std::string& pem);
// Keys, each followed by its chain (Postfix's smtpd_tls_chain_files); one at least.
[[nodiscard]] Result<std::vector<KeyAndChain>> keys_and_chains_of(const std::string& pem);

}  // namespace lmtpd::frontend
