#include "bench/blast/target.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace lmtpd::blast {

Expected<Target> Target::parse(std::string_view text) {
  Target target;
  target.text_ = text;
  if (text.starts_with("unix:")) {
    const std::string_view path = text.substr(5);
    sockaddr_un address{};
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
      return complain(fmt::format("{}: a path of 1 to {} octets is wanted", text,
                                  sizeof(address.sun_path) - 1));
    }
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, path.size());
    std::memcpy(&target.address_, &address, sizeof(address));
    target.length_ = sizeof(address);
    return target;
  }
  const auto colon = text.rfind(':');
  if (!text.starts_with("inet:") || colon < 6 || colon + 1 == text.size()) {
    return complain(fmt::format("{}: neither unix:PATH nor inet:HOST:PORT", text));
  }
  std::string host(text.substr(5, colon - 5));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string port(text.substr(colon + 1));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return complain(fmt::format("{}: {}", text, ::gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  std::memcpy(&target.address_, found->ai_addr, found->ai_addrlen);
  target.length_ = found->ai_addrlen;
  return target;
}

Expected<UniqueFd> Target::connect() const {
  UniqueFd fd(::socket(address_.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return complain(fmt::format("cannot make a socket: {}", std::strerror(errno)));
  if (address_.ss_family != AF_UNIX) {
    const int on = 1;
    (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address_), length_) == 0 ||
      errno == EINPROGRESS) {
    return fd;
  }
  if (errno == EAGAIN && address_.ss_family == AF_UNIX) return UniqueFd();
  return complain(fmt::format("cannot connect to {}: {}", text_, std::strerror(errno)));
}

Expected<void> connect_outcome(int fd) {
  int error = 0;
  socklen_t length = sizeof(error);
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error != 0) return complain(fmt::format("cannot connect: {}", std::strerror(error)));
  return {};
}

}  // namespace lmtpd::blast
