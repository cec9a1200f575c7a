// A PROXY header as it comes, octet by octet, and what follows it. It must be bounded, be taken to
// its end and no further, and name no client but the one whose octets it has.
#include <netinet/in.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "lmtpd/base/internet_address.h"
#include "lmtpd/frontend/proxy_header.h"

namespace {

using namespace lmtpd::frontend;

void must(bool holds) {
  if (!holds) std::abort();
}

// The source stands first of the addresses, and its port before the other.
template <class Address>
bool is_source(const Address& host, const in_port_t& port, std::string_view header) {
  constexpr std::size_t kAddresses = 16;  // octets before them
  const std::string_view block = header.substr(kAddresses);
  return block.size() >= 2 * (sizeof host + sizeof port) &&
         std::memcmp(&host, block.data(), sizeof host) == 0 &&
         std::memcmp(&port, block.data() + 2 * sizeof host, sizeof port) == 0;
}

// As the protocol's text numbers commands and families.
void must_be_named_by(std::string_view header, const ProxyHeader& named) {
  const char command = header[12];
  const char family = header[13];
  switch (named.client) {
    case ProxyHeader::Client::proxy:
      return must(command == 0x20);
    case ProxyHeader::Client::unknown:
      return must(command == 0x21 && family == 0);
    case ProxyHeader::Client::unix_socket:
      return must(command == 0x21 && family == 0x31);
    case ProxyHeader::Client::internet:
      break;
  }
  must(command == 0x21);
  if (named.address.ss_family == AF_INET) {
    const auto& inet = reinterpret_cast<const sockaddr_in&>(named.address);
    must(family == 0x11 && is_source(inet.sin_addr, inet.sin_port, header));
  } else {
    const auto& inet6 = reinterpret_cast<const sockaddr_in6&>(named.address);
    must(family == 0x21 && is_source(inet6.sin6_addr, inet6.sin6_port, header));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::size_t wanted = 0;  // octets of the header, as far as known
  for (std::size_t had = 0; had <= input.size(); ++had) {
    const auto missing = proxy_octets_missing(input.substr(0, had));
    if (!missing) {
      must(had > 0 && !missing.error().empty());
      return 0;
    }
    must(had + *missing >= wanted && had + *missing <= kLongestProxyHeader);
    wanted = had + *missing;
    if (*missing > 0) continue;
    const auto header = parse_proxy_header(input.substr(0, had));
    if (!header) {
      must(!header.error().empty());
      return 0;
    }
    must(lmtpd::internet_address(header->address).has_value() ==
         (header->client == ProxyHeader::Client::internet));
    must_be_named_by(input.substr(0, had), *header);
    return 0;
  }
  return 0;
}
