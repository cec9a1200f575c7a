// lmtpd/frontend/tls_stream.h -- one client's TLS, without a socket: octets of either side in,
// octets of the other out.
//
// OpenSSL reads from the buffer that the connection has just received into, and appends to the
// string that the connection sends from, by a BIO of two functions. So there is one buffer to bound
// on each side with TLS as without it, the deadlines of sending stay where they are, and an idle
// session holds no buffer of a BIO's. libevent's bufferevent_openssl keeps buffers of its own and
// reads ahead of a session that waits; SSL_set_fd() would have SSL_write() tell when to try again,
// a second way to be blocked beside send(2)'s.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "lmtpd/base/result.h"
#include "lmtpd/frontend/tls_context.h"
#include "lmtpd/session/session.h"

namespace lmtpd::frontend {

class TlsStream {
 public:
  // The server's side of a session that begins with the next octets of both. `context` outlives it.
  explicit TlsStream(const TlsContext& context);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  enum class State { handshake, open, closed };  // closed: by the client's close_notify
  [[nodiscard]] State state() const { return state_; }
  // From State::open on.
  [[nodiscard]] session::TlsFacts facts() const;

  // Takes all of `octets`, which the client sent, and appends what they protect to `plain` and what
  // is to be sent for them (a handshake, an alert) to `out`. After a failure, whose text is
  // OpenSSL's, only `out` is of use.
  [[nodiscard]] Result<void> receive(std::string_view octets, std::string& plain, std::string& out);
  // Protects `plain`, and appends it to `out`.
  [[nodiscard]] Result<void> send(std::string_view plain, std::string& out);
  // Says that nothing more follows (close_notify), if the handshake is over.
  void close(std::string& out);

 private:
  struct Free {
    void operator()(SSL* ssl) const { ::SSL_free(ssl); }
  };
  static BIO_METHOD* method();
  static int read(BIO* bio, char* to, int size);
  static int write(BIO* bio, const char* from, int size);
  static long control(BIO* bio, int command, long, void*);
  [[nodiscard]] Result<void> handshake();
  [[nodiscard]] Result<void> read_all(std::string& plain);

  std::unique_ptr<SSL, Free> ssl_;
  bool asks_for_certificates_;
  State state_ = State::handshake;
  std::string_view in_;         // not yet read by OpenSSL; empty outside of receive()
  std::string* out_ = nullptr;  // what it writes to; null outside of a call
};

}  // namespace lmtpd::frontend
