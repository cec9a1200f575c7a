#include "lmtpd/frontend/tls_stream.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "lmtpd/frontend/tls_pem.h"
#include "lmtpd/frontend/tls_words.h"

namespace lmtpd::frontend {
namespace {

constexpr int kLargestRecord = 16 * 1024;  // octets of plain text (RFC 8446 5.1)

std::string common_name(const X509_NAME* name) {
  std::array<char, 256> text{};
  if (X509_NAME_get_text_by_NID(name, NID_commonName, text.data(), text.size()) < 0) return {};
  return text.data();
}

}  // namespace

TlsStream::TlsStream(const TlsContext& context)
    : ssl_(SSL_new(context.get())), asks_for_certificates_(context.asks_for_certificates()) {
  if (!ssl_) throw std::bad_alloc();
  BIO* bio = BIO_new(method());
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);  // owned by ssl_
  SSL_set_accept_state(ssl_.get());
}

BIO_METHOD* TlsStream::method() {
  // Kept to the end of the process.
  static BIO_METHOD* const made = [] {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lmtpd");
    if (method == nullptr) throw std::bad_alloc();
    BIO_meth_set_read(method, read);
    BIO_meth_set_write(method, write);
    BIO_meth_set_ctrl(method, control);
    return method;
  }();
  return made;
}

int TlsStream::read(BIO* bio, char* to, int size) {
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self.in_.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t taken = std::min(self.in_.size(), static_cast<std::size_t>(size));
  std::memcpy(to, self.in_.data(), taken);
  self.in_.remove_prefix(taken);
  return static_cast<int>(taken);
}

int TlsStream::write(BIO* bio, const char* from, int size) {
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  self.out_->append(from, static_cast<std::size_t>(size));
  return size;
}

long TlsStream::control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

Result<void> TlsStream::receive(std::string_view octets, std::string& plain, std::string& out) {
  in_ = octets;
  out_ = &out;
  Result<void> done;
  if (state_ == State::handshake) done = handshake();
  if (done && state_ == State::open) done = read_all(plain);
  in_ = {};
  out_ = nullptr;
  return done;
}

Result<void> TlsStream::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    state_ = State::open;
    return {};
  }
  if (SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ) return {};
  return fail(Reason::io, openssl_words());
}

// Until a record is not whole: what there is of it stays in OpenSSL.
Result<void> TlsStream::read_all(std::string& plain) {
  while (true) {
    const std::size_t before = plain.size();
    plain.resize(before + kLargestRecord);
    ERR_clear_error();
    const int size = SSL_read(ssl_.get(), plain.data() + before, kLargestRecord);
    plain.resize(before + static_cast<std::size_t>(std::max(size, 0)));
    if (size > 0) continue;
    switch (SSL_get_error(ssl_.get(), size)) {
      case SSL_ERROR_WANT_READ:
        return {};
      case SSL_ERROR_ZERO_RETURN:
        state_ = State::closed;
        return {};
      default:
        return fail(Reason::io, openssl_words());
    }
  }
}

Result<void> TlsStream::send(std::string_view plain, std::string& out) {
  out_ = &out;
  ERR_clear_error();
  std::size_t written = 0;
  const bool sent = SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &written) == 1;
  out_ = nullptr;
  if (!sent) return fail(Reason::io, openssl_words());
  return {};
}

void TlsStream::close(std::string& out) {
  if (state_ == State::handshake) return;
  out_ = &out;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  out_ = nullptr;
}

session::TlsFacts TlsStream::facts() const {
  session::TlsFacts facts;
  facts.protocol = SSL_get_version(ssl_.get());
  facts.cipher = SSL_get_cipher_name(ssl_.get());
  facts.used_bits = SSL_get_cipher_bits(ssl_.get(), &facts.cipher_bits);
  if (!asks_for_certificates_) return facts;
  const X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) {
    facts.client = session::TlsFacts::Client::none;
    return facts;
  }
  facts.client = SSL_get_verify_result(ssl_.get()) == X509_V_OK
                     ? session::TlsFacts::Client::verified
                     : session::TlsFacts::Client::untrusted;
  facts.client_name = common_name(X509_get_subject_name(certificate));
  facts.client_issuer = common_name(X509_get_issuer_name(certificate));
  return facts;
}

}  // namespace lmtpd::frontend
