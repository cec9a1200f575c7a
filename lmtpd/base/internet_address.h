// lmtpd/base/internet_address.h -- IPv4 and IPv6 addresses as text, without brackets and zones.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

namespace lmtpd {

// As inet_ntop(3) writes it, "2001:db8::1" for "2001:DB8:0::1"; nullopt where inet_pton(3) takes it
// for neither family.
[[nodiscard]] std::optional<std::string> normal_internet_address(const std::string& text);

struct InternetAddress {
  std::string host;
  std::uint16_t port = 0;
};

// nullopt: of another family.
[[nodiscard]] std::optional<InternetAddress> internet_address(const sockaddr_storage& address);

}  // namespace lmtpd
