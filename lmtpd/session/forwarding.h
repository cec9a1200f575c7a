// lmtpd/session/forwarding.h -- the attributes of XCLIENT and XFORWARD (Postfix's XCLIENT_README
// and XFORWARD_README): NAME=VALUE words, the value in xtext (RFC 3461 section 4), [UNAVAILABLE] or
// [TEMPUNAVAIL] where the client does not know.
//
// Fails with 501 5.5.4 on a word without a value, on an attribute that is not offered, on a value
// beyond 255 octets, and where it says so below. No octet of a value can be taken for syntax of a
// header or the log: as in Postfix, `?` stands for each that could.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "lmtpd/session/peer.h"
#include "lmtpd/session/reply.h"

namespace lmtpd::session {

// As LHLO's reply offers them. LOGIN, DESTADDR and DESTPORT of XCLIENT are not.
inline constexpr std::string_view kXclientAttributes = "NAME ADDR PORT PROTO HELO";
inline constexpr std::string_view kXforwardAttributes = "NAME ADDR PORT PROTO HELO IDENT SOURCE";

// The session is with another client than the one that is connected.
struct ClientOverride {
  std::optional<std::string> name;     // kUnknown: the client does not know
  std::optional<std::string> address;  // kUnknown, or an address as inet_ntop(3) writes it
  std::optional<std::uint16_t> port;   // 0: not known
  std::optional<std::string> helo;     // empty: not known
};

// NAME has to be a host name, ADDR an address (with `IPv6:` before it or not), PORT a number, PROTO
// SMTP, ESMTP or LMTP. PROTO is of no use: Received tells how we were spoken to.
[[nodiscard]] tl::expected<ClientOverride, FixedReply> parse_xclient(std::string_view argument);

// Where the next message came from before our client had it. For the log only.
struct Origin {
  std::string name;      // empty: not known, as in the others
  std::string address;   // mostly an IP address
  std::string queue_id;  // IDENT
};

// Several commands add up: what this one leaves out is as in `before`. PORT, PROTO, HELO and SOURCE
// are read and not kept, since nothing is made of them.
[[nodiscard]] tl::expected<Origin, FixedReply> parse_xforward(std::string_view argument,
                                                              Origin before);

// orig_client's value, "mx.example[192.0.2.1]"; empty where neither is known.
[[nodiscard]] std::string log_name(const Origin& origin);

}  // namespace lmtpd::session
