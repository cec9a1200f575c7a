// lmtpd/base/config/network_list.h -- addresses and networks of clients, as Postfix's mynetworks
// has them: 192.0.2.1, 192.0.2.0/24, [2001:db8::1], [2001:db8::]/32, each with `!` before it for
// "not". No names and no tables: who is trusted depends on no other server.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/config/table_ref.h"
#include "lmtpd/base/config/values.h"
#include "lmtpd/base/result.h"

namespace lmtpd {

// One address or network. An IPv4 address is the same as its IPv4-mapped IPv6 form (RFC 4291
// 2.5.5.2), which a socket of both families reports.
class Network {
 public:
  // Refuses a network with bits set behind its prefix: one of the two is a mistake.
  [[nodiscard]] static Parsed<Network> parse(std::string_view text);
  [[nodiscard]] bool contains(const std::array<std::uint8_t, 16>& address) const;

 private:
  std::array<std::uint8_t, 16> address_{};
  unsigned prefix_ = 128;  // bits
};

// The words of such a parameter: items of Kind::name are networks, the others files. Fails on
// everything else.
[[nodiscard]] Parsed<MatchList> parse_network_list(std::string_view text);

class NetworkList {
 public:
  // `items` as with_files_read() leaves them. Fails, with a reason that has no meaning, on an item
  // that is neither address nor network.
  [[nodiscard]] static Result<NetworkList> make(const MatchList& items);

  // The first network that holds the address decides. False for what is no internet address.
  [[nodiscard]] bool matches(const sockaddr_storage& address) const;
  // The same of "192.0.2.1" and "2001:db8::1".
  [[nodiscard]] bool matches(const std::string& address) const;

 private:
  struct Item {
    bool negated;
    Network network;
  };
  [[nodiscard]] bool matches(const std::array<std::uint8_t, 16>& address) const;

  std::vector<Item> items_;
};

}  // namespace lmtpd
