#include "lmtpd/frontend/proxy_header.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

namespace lmtpd::frontend {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kSignature = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t kCommandAt = 12;  // version and command
constexpr std::size_t kFamilyAt = 13;   // address family and transport
constexpr std::size_t kLengthAt = 14;   // of what follows, 16 bits
constexpr std::size_t kFixedOctets = 16;

constexpr std::uint8_t kLocal = 0x20;
constexpr std::uint8_t kProxy = 0x21;
constexpr std::uint8_t kUnspecified = 0x00;
constexpr std::uint8_t kTcp4 = 0x11;
constexpr std::uint8_t kTcp6 = 0x21;
constexpr std::uint8_t kUnixStream = 0x31;

constexpr std::size_t kTcp4Octets = 2 * (4 + 2);
constexpr std::size_t kTcp6Octets = 2 * (16 + 2);
constexpr std::size_t kUnixOctets = 2 * 108;

constexpr std::uint8_t kCrc32cType = 0x03;
constexpr std::size_t kTlvHead = 3;  // octets: type, length

std::uint8_t octet(std::string_view text, std::size_t at) {
  return static_cast<std::uint8_t>(text[at]);
}

std::size_t number16(std::string_view text, std::size_t at) {
  return static_cast<std::size_t>(octet(text, at)) << 8 | octet(text, at + 1);
}

// RFC 3309 appendix B, bit by bit: it is once in a connection.
std::uint32_t crc32c(std::string_view octets) {
  std::uint32_t sum = 0xFFFFFFFF;
  for (const char c : octets) {
    sum ^= static_cast<std::uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ ((sum & 1) != 0 ? 0x82F63B78 : 0);
  }
  return ~sum;
}

// The sum is over the whole header, with zeros where it stands itself.
bool checksum_fits(std::string_view header, std::size_t at) {
  std::uint32_t expected = 0;
  for (std::size_t i = 0; i < 4; ++i) expected = expected << 8 | octet(header, at + i);
  std::string blanked(header);
  blanked.replace(at, 4, 4, '\0');
  return crc32c(blanked) == expected;
}

std::optional<std::string_view> fault_of_tlvs(std::string_view header, std::size_t at) {
  while (at < header.size()) {
    if (header.size() - at < kTlvHead) return "TLV cut short";
    const std::size_t length = number16(header, at + 1);
    const std::size_t value = at + kTlvHead;
    if (header.size() - value < length) return "TLV cut short";
    if (octet(header, at) == kCrc32cType) {
      if (length != 4) return "checksum not of four octets";
      if (!checksum_fits(header, value)) return "wrong checksum";
    }
    at = value + length;
  }
  return std::nullopt;
}

// Source address, destination address, source port, destination port.
sockaddr_storage tcp4_source(std::string_view block) {
  sockaddr_storage address{};
  auto& inet = reinterpret_cast<sockaddr_in&>(address);
  inet.sin_family = AF_INET;
  std::memcpy(&inet.sin_addr, block.data(), 4);
  std::memcpy(&inet.sin_port, block.data() + 8, 2);
  return address;
}

sockaddr_storage tcp6_source(std::string_view block) {
  sockaddr_storage address{};
  auto& inet6 = reinterpret_cast<sockaddr_in6&>(address);
  inet6.sin6_family = AF_INET6;
  std::memcpy(&inet6.sin6_addr, block.data(), 16);
  std::memcpy(&inet6.sin6_port, block.data() + 32, 2);
  return address;
}

}  // namespace

tl::expected<std::size_t, std::string_view> proxy_octets_missing(std::string_view so_far) {
  const std::size_t compared = std::min(so_far.size(), kSignature.size());
  if (so_far.substr(0, compared) != kSignature.substr(0, compared)) {
    return tl::unexpected("not of version 2"sv);
  }
  if (so_far.size() < kFixedOctets) return kFixedOctets - so_far.size();
  const std::uint8_t command = octet(so_far, kCommandAt);
  if (command != kLocal && command != kProxy) {
    return tl::unexpected("unknown version or command"sv);
  }
  const std::size_t whole = kFixedOctets + number16(so_far, kLengthAt);
  if (whole > kLongestProxyHeader) return tl::unexpected("too long"sv);
  return whole - so_far.size();
}

tl::expected<ProxyHeader, std::string_view> parse_proxy_header(std::string_view header) {
  ProxyHeader result;
  if (octet(header, kCommandAt) == kLocal) {
    result.client = ProxyHeader::Client::proxy;
    return result;
  }
  const std::string_view block = header.substr(kFixedOctets);
  std::size_t addresses = 0;
  switch (octet(header, kFamilyAt)) {
    case kUnspecified:
      return result;
    case kTcp4:
      addresses = kTcp4Octets;
      break;
    case kTcp6:
      addresses = kTcp6Octets;
      break;
    case kUnixStream:
      addresses = kUnixOctets;
      break;
    default:
      return tl::unexpected("not of a stream"sv);
  }
  if (block.size() < addresses) return tl::unexpected("addresses cut short"sv);
  if (const auto fault = fault_of_tlvs(header, kFixedOctets + addresses)) {
    return tl::unexpected(*fault);
  }
  if (addresses == kTcp4Octets) {
    result.client = ProxyHeader::Client::internet;
    result.address = tcp4_source(block);
  } else if (addresses == kTcp6Octets) {
    result.client = ProxyHeader::Client::internet;
    result.address = tcp6_source(block);
  } else {
    result.client = ProxyHeader::Client::unix_socket;
  }
  return result;
}

}  // namespace lmtpd::frontend
