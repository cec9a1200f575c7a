// lmtpd/base/internet_address.h -- IPv4 and IPv6 addresses as text, without brackets and zones.
//
// An IPv4-mapped IPv6 address (RFC 4291 2.5.5.2), which a socket of both families reports and a
// proxy may, becomes the IPv4 address: it is the same client.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lmtpd {

// As inet_ntop(3) writes it, "2001:db8::1" for "2001:DB8:0::1"; nullopt where inet_pton(3) takes it
// for neither family.
[[nodiscard]] std::optional<std::string> normal_internet_address(const std::string& text);

// What of a client's numeric address counts as one client: an IPv4 address, the /64 of an IPv6 one,
// any other text as it is.
[[nodiscard]] std::string client_network(std::string_view address);

struct InternetAddress {
  std::string host;
  std::uint16_t port = 0;
};

// nullopt: of another family.
[[nodiscard]] std::optional<InternetAddress> internet_address(const sockaddr_storage& address);

}  // namespace lmtpd
