#include "lmtpd/base/internet_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>

namespace lmtpd {
namespace {

std::string text_of(int family, const void* octets) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  return ::inet_ntop(family, octets, text.data(), text.size());
}

}  // namespace

std::optional<std::string> normal_internet_address(const std::string& text) {
  for (const int family : {AF_INET, AF_INET6}) {
    in6_addr octets{};  // the larger one
    if (::inet_pton(family, text.c_str(), &octets) == 1) return text_of(family, &octets);
  }
  return std::nullopt;
}

std::optional<InternetAddress> internet_address(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& inet = reinterpret_cast<const sockaddr_in&>(address);
    return InternetAddress{text_of(AF_INET, &inet.sin_addr), ntohs(inet.sin_port)};
  }
  if (address.ss_family == AF_INET6) {
    const auto& inet6 = reinterpret_cast<const sockaddr_in6&>(address);
    return InternetAddress{text_of(AF_INET6, &inet6.sin6_addr), ntohs(inet6.sin6_port)};
  }
  return std::nullopt;
}

}  // namespace lmtpd
