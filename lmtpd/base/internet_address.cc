#include "lmtpd/base/internet_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace lmtpd {
namespace {

std::string text_of(int family, const void* octets) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  return ::inet_ntop(family, octets, text.data(), text.size());
}

std::string text_of(const in6_addr& octets) {
  if (IN6_IS_ADDR_V4MAPPED(&octets)) return text_of(AF_INET, &octets.s6_addr[12]);
  return text_of(AF_INET6, &octets);
}

}  // namespace

std::optional<std::string> normal_internet_address(const std::string& text) {
  in_addr inet{};
  if (::inet_pton(AF_INET, text.c_str(), &inet) == 1) return text_of(AF_INET, &inet);
  in6_addr inet6{};
  if (::inet_pton(AF_INET6, text.c_str(), &inet6) == 1) return text_of(inet6);
  return std::nullopt;
}

std::string client_network(std::string_view address) {
  std::string text(address);
  in6_addr octets{};
  if (::inet_pton(AF_INET6, text.c_str(), &octets) != 1) return text;
  if (IN6_IS_ADDR_V4MAPPED(&octets)) return text_of(octets);
  std::fill(std::begin(octets.s6_addr) + 8, std::end(octets.s6_addr), std::uint8_t{0});
  return text_of(octets) + "/64";
}

std::optional<InternetAddress> internet_address(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& inet = reinterpret_cast<const sockaddr_in&>(address);
    return InternetAddress{text_of(AF_INET, &inet.sin_addr), ntohs(inet.sin_port)};
  }
  if (address.ss_family == AF_INET6) {
    const auto& inet6 = reinterpret_cast<const sockaddr_in6&>(address);
    return InternetAddress{text_of(inet6.sin6_addr), ntohs(inet6.sin6_port)};
  }
  return std::nullopt;
}

}  // namespace lmtpd
