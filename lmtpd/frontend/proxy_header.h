// lmtpd/frontend/proxy_header.h -- the header by which a proxy says whose connection it passes on:
// version 2 of HAProxy's PROXY protocol (proxy-protocol.txt, section 2.2), without any I/O.
//
// Refuses version 1, the text form: its length is known from its end only, so that a reader would
// take octets of the client's with it. Refuses what is no stream, an address that is cut short,
// TLVs that run over the end, and a checksum (CRC32C, 2.2.3) that is wrong. Of a good header the
// client's address is kept; the one it connected to and all other TLVs are passed over.
#pragma once

#include <sys/socket.h>

#include <string_view>
#include <tl/expected.hpp>

namespace lmtpd::frontend {

// Octets. An address takes 216 at most; the rest is for TLVs, certificates' names among them.
inline constexpr std::size_t kLongestProxyHeader = 4096;

struct ProxyHeader {
  enum class Client {
    proxy,        // LOCAL: the proxy itself, to see whether we live; all else in the header is void
    internet,     // the one at `address`
    unix_socket,  // of the proxy's host
    unknown,      // all else is void, too
  };
  Client client = Client::unknown;
  sockaddr_storage address{};  // AF_INET or AF_INET6, of an internet client
};

// How many octets to read behind `so_far`, the header's first ones, and none of what follows the
// header: 0 where it is whole. Fails, with words for the log, as soon as it can be no header.
[[nodiscard]] tl::expected<std::size_t, std::string_view> proxy_octets_missing(
    std::string_view so_far);

// Of a whole header.
[[nodiscard]] tl::expected<ProxyHeader, std::string_view> parse_proxy_header(
    std::string_view header);

}  // namespace lmtpd::frontend
