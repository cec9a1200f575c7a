// tests/base/unix_listener.h -- a unix socket to listen on, and those who connect to it, none
// of whom blocks.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include "lmtpd/base/unique_fd.h"

namespace lmtpd {

// At an address that the kernel chooses (unix(7), autobind).
class UnixListener {
 public:
  // The listening end, once. None where the system refuses it.
  UniqueFd open(int backlog) {
    UniqueFd listening = unix_socket();
    address_.sun_family = AF_UNIX;
    if (::bind(listening.get(), name(), sizeof address_.sun_family) != 0 ||
        ::listen(listening.get(), backlog) != 0 ||
        ::getsockname(listening.get(), name(), &length_) != 0) {
      listening.reset();
    }
    return listening;
  }
  // No socket if nobody listens any more.
  UniqueFd connect() {
    UniqueFd made = unix_socket();
    if (::connect(made.get(), name(), length_) != 0) made.reset();
    return made;
  }

 private:
  static UniqueFd unix_socket() {
    return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }
  sockaddr* name() { return reinterpret_cast<sockaddr*>(&address_); }

  sockaddr_un address_{};
  socklen_t length_ = sizeof address_;
};

}  // namespace lmtpd
