// lmtpd/master/inet_listener.h -- listening TCP sockets and their addresses.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "lmtpd/base/config/listen_spec.h"
#include "lmtpd/base/unique_fd.h"
#include "lmtpd/master/start_failure.h"

namespace lmtpd::master {

struct InetAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  // "127.0.0.1:24", "[::1]:24"
  [[nodiscard]] std::string text() const;
};

// Where `spec` listens: every address of a name, 0.0.0.0 and [::] of "*". May ask the resolver and
// wait for it.
[[nodiscard]] StartResult<std::vector<InetAddress>> addresses_of(const ListenSpec& spec);

// Non-blocking. An IPv6 socket takes IPv6 only, so that [::] and 0.0.0.0 stand beside each other.
[[nodiscard]] StartResult<UniqueFd> listen_inet(const InetAddress& address);

// Whether this kernel has no IPv6: then "*" is 0.0.0.0 alone.
[[nodiscard]] bool lacks_ipv6();

}  // namespace lmtpd::master
