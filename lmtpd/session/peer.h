// lmtpd/session/peer.h -- who is at the other end of a session, for Received, the log and trust.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lmtpd::session {

// What Postfix writes where a name or an address is not known.
inline constexpr std::string_view kUnknown = "unknown";

struct Peer {
  std::string name;        // of the host, or kUnknown; empty: nobody looked
  std::string address;     // "192.0.2.1", "2001:db8::1", kUnknown; empty: a unix socket
  std::uint16_t port = 0;  // 0: not known
  // Of trusted_clients, or at a unix socket, whose mode guards it: may deliver. XCLIENT and
  // XFORWARD are believed of who is connected and trusted, whomever he names by XCLIENT.
  bool trusted = false;

  bool operator==(const Peer&) const = default;
};

// What stands behind the LHLO name in Received (RFC 5321 4.4, literals as in 4.1.3): "localhost",
// "[192.0.2.1]", "mx.example [IPv6:2001:db8::1]".
[[nodiscard]] std::string received_from(const Peer& peer);

// "unix", "192.0.2.1:4711", "[2001:db8::1]:4711"; with a name as Postfix has it,
// "mx.example[192.0.2.1]:4711". Without the port where that is not known.
[[nodiscard]] std::string log_name(const Peer& peer);

}  // namespace lmtpd::session
