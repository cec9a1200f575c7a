// tests/frontend/tls_fixture.h -- certificates made on the spot, and a client's side of TLS.
#pragma once

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "lmtpd/frontend/tls_context.h"
#include "lmtpd/frontend/tls_pem.h"

namespace lmtpd::frontend {

// PEM text of a key and of a certificate for it.
struct KeyPair {
  std::string key;
  std::string certificate;

  // It signs itself, and may sign others.
  static KeyPair make(const char* common_name) {
    const CertificatePtr certificate = of_authority(common_name);
    return certified(certificate, X509_get_subject_name(certificate.get()), nullptr);
  }
  // Valid from and until so many seconds from now.
  static KeyPair valid(const char* common_name, long from, long until) {
    const CertificatePtr certificate = for_an_hour(common_name);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), from);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), until);
    return certified(certificate, X509_get_subject_name(certificate.get()), nullptr);
  }
  // This one signs it.
  [[nodiscard]] KeyPair issue(const char* common_name) const {
    return signed_by_this(for_an_hour(common_name));
  }
  // And that may sign others.
  [[nodiscard]] KeyPair issue_authority(const char* common_name) const {
    return signed_by_this(of_authority(common_name));
  }

 private:
  static CertificatePtr for_an_hour(const char* common_name) {
    CertificatePtr certificate(X509_new());
    X509_set_version(certificate.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(common_name), -1, -1, 0);
    return certificate;
  }
  static CertificatePtr of_authority(const char* common_name) {
    CertificatePtr certificate = for_an_hour(common_name);
    const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> authority(
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE"),
        X509_EXTENSION_free);
    X509_add_ext(certificate.get(), authority.get(), -1);
    return certificate;
  }
  [[nodiscard]] KeyPair signed_by_this(const CertificatePtr& other) const {
    const auto issuer = certificates_of(certificate);
    return certified(other, X509_get_subject_name(issuer->front().get()), key_of(key)->get());
  }
  // With a key of its own, which signs it if there is no other for that.
  static KeyPair certified(const CertificatePtr& certificate, const X509_NAME* issuer,
                           EVP_PKEY* issuers_key) {
    const KeyPtr key(EVP_EC_gen("P-256"));
    X509_set_pubkey(certificate.get(), key.get());
    X509_set_issuer_name(certificate.get(), issuer);
    EXPECT_GT(X509_sign(certificate.get(), issuers_key == nullptr ? key.get() : issuers_key,
                        EVP_sha256()),
              0);
    return {written([&](BIO* bio) {
              return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr,
                                              nullptr);
            }),
            written([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); })};
  }

  static std::string written(auto&& write) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
    EXPECT_EQ(write(bio.get()), 1);
    char* octets = nullptr;
    const long length = BIO_get_mem_data(bio.get(), &octets);
    return {octets, static_cast<std::size_t>(length)};
  }
};

// A context of the files `pem`, by path.
inline Result<TlsContext> context_of(const Settings& settings,
                                     const std::map<std::string, std::string>& pem) {
  return TlsContext::make(settings, [&](const std::string& path) -> Result<std::string> {
    const auto found = pem.find(path);
    if (found == pem.end()) return fail(Reason::io, path + ": no such file");
    return found->second;
  });
}

// OpenSSL's own client, on buffers in memory.
class TlsClient {
 public:
  TlsClient() : context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_.get())) {
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl_.get(), in_, out_);
    SSL_set_connect_state(ssl_.get());
  }

  // Before the handshake: what it shows where it is asked for a certificate.
  void present(const KeyPair& pair) {
    EXPECT_EQ(SSL_use_certificate(ssl_.get(), certificates_of(pair.certificate)->front().get()), 1);
    EXPECT_EQ(SSL_use_PrivateKey(ssl_.get(), key_of(pair.key)->get()), 1);
  }
  // Of its own part of the handshake nothing is missing.
  [[nodiscard]] bool open() const { return SSL_is_init_finished(ssl_.get()) == 1; }

  void hear(std::string_view octets) {
    BIO_write(in_, octets.data(), static_cast<int>(octets.size()));
  }
  // What it has to send, handshake included.
  std::string say(std::string_view plain = {}) {
    if (SSL_do_handshake(ssl_.get()) == 1 && !plain.empty()) {
      EXPECT_GT(SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size())), 0);
    }
    return taken();
  }
  void speak_at_most(int version) { SSL_set_max_proto_version(ssl_.get(), version); }
  // TLS 1.2: asks for a new handshake.
  std::string renegotiate() {
    EXPECT_EQ(SSL_renegotiate(ssl_.get()), 1);
    SSL_do_handshake(ssl_.get());
    return taken();
  }
  // TLS 1.3: takes a new key, and wants one of the server.
  std::string update_keys() {
    EXPECT_EQ(SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED), 1);
    SSL_do_handshake(ssl_.get());
    return taken();
  }
  std::string close() {
    SSL_shutdown(ssl_.get());
    return taken();
  }
  // openssl_words() has the alert that ended it, if one did.
  std::string read() {
    ERR_clear_error();
    std::string all;
    std::array<char, 4096> buffer{};
    int size = 0;
    while ((size = SSL_read(ssl_.get(), buffer.data(), buffer.size())) > 0) {
      all.append(buffer.data(), static_cast<std::size_t>(size));
    }
    return all;
  }
  // The server has said that nothing follows.
  [[nodiscard]] bool at_end() const {
    return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
  }

 private:
  std::string taken() {
    std::string octets(BIO_ctrl_pending(out_), '\0');
    if (!octets.empty()) BIO_read(out_, octets.data(), static_cast<int>(octets.size()));
    return octets;
  }

  struct Free {
    void operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }
    void operator()(SSL* ssl) const { ::SSL_free(ssl); }
  };
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
  BIO* in_ = nullptr;  // ssl_'s
  BIO* out_ = nullptr;
};

}  // namespace lmtpd::frontend
