#include "lmtpd/master/inet_listener.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "lmtpd/base/log.h"

namespace lmtpd::master {
namespace {

// Of net.core.somaxconn, which caps it.
constexpr int kBacklog = 4096;

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

bool set_option(int fd, int level, int option) {
  const int on = 1;
  return ::setsockopt(fd, level, option, &on, sizeof on) == 0;
}

}  // namespace

std::string InetAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> host{};
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 address{};
    std::memcpy(&address, &storage, sizeof address);
    ::inet_ntop(AF_INET6, &address.sin6_addr, host.data(), host.size());
    return fmt::format("[{}]:{}", host.data(), ntohs(address.sin6_port));
  }
  sockaddr_in address{};
  std::memcpy(&address, &storage, sizeof address);
  ::inet_ntop(AF_INET, &address.sin_addr, host.data(), host.size());
  return fmt::format("{}:{}", host.data(), ntohs(address.sin_port));
}

bool lacks_ipv6() {
  return !UniqueFd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)) && errno == EAFNOSUPPORT;
}

StartResult<std::vector<InetAddress>> addresses_of(const ListenSpec& spec) {
  const bool all = spec.host == "*";
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (all ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(all ? nullptr : spec.host.c_str(),
                                  std::to_string(spec.port).c_str(), &hints, &found);
  const std::unique_ptr<addrinfo, FreeAddresses> list(found);
  if (error != 0) {
    const std::string text = fmt::format(
        "{}: {}", spec.text, error == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(error));
    // A name server that is not up yet may be later.
    if (error == EAI_AGAIN || error == EAI_SYSTEM) return system_failure(text);
    return configuration_failure(text);
  }
  std::vector<InetAddress> addresses;
  for (const addrinfo* item = found; item != nullptr; item = item->ai_next) {
    if (item->ai_family == AF_INET6 && all && lacks_ipv6()) continue;
    InetAddress address;
    std::memcpy(&address.storage, item->ai_addr, item->ai_addrlen);
    address.length = item->ai_addrlen;
    addresses.push_back(address);
  }
  return addresses;
}

StartResult<UniqueFd> listen_inet(const InetAddress& address) {
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd || !set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR) ||
      (address.storage.ss_family == AF_INET6 && !set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY)) ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    return system_failure(errno_text(fmt::format("listening on {}", address.text()), errno));
  }
  return fd;
}

}  // namespace lmtpd::master
