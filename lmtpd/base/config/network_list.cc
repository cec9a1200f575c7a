#include "lmtpd/base/config/network_list.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "lmtpd/base/log.h"

namespace lmtpd {
namespace {

using Octets = std::array<std::uint8_t, 16>;

constexpr std::size_t kMappedOctets = 12;  // of ::ffff:a.b.c.d, before the IPv4 address
constexpr unsigned kMappedBits = 8 * kMappedOctets;

Octets mapped(const void* ipv4) {
  Octets octets{};
  octets[10] = 0xFF;
  octets[11] = 0xFF;
  std::memcpy(octets.data() + kMappedOctets, ipv4, 4);
  return octets;
}

bool same_bits(const Octets& one, const Octets& other, unsigned bits) {
  const std::size_t whole = bits / 8;
  if (!std::equal(one.begin(), one.begin() + whole, other.begin())) return false;
  const unsigned rest = bits % 8;
  return rest == 0 || (one[whole] ^ other[whole]) >> (8 - rest) == 0;
}

// The address with all bits behind the prefix zero.
Octets cut(Octets octets, unsigned bits) {
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const auto first = static_cast<unsigned>(8 * i);
    if (first >= bits) {
      octets[i] = 0;
    } else if (bits - first < 8) {
      octets[i] = static_cast<std::uint8_t>(octets[i] & (0xFFU << (8 - (bits - first))));
    }
  }
  return octets;
}

}  // namespace

Parsed<Network> Network::parse(std::string_view text) {
  const auto failure = [&](std::string_view what) {
    return tl::unexpected(fmt::format("\"{}\" {}", escaped(text), what));
  };
  std::string host(text.substr(0, text.find('/')));
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  Network network;
  unsigned most = 32;
  std::array<std::uint8_t, 4> ipv4{};
  if (::inet_pton(AF_INET, host.c_str(), ipv4.data()) == 1) {
    network.address_ = mapped(ipv4.data());
  } else if (::inet_pton(AF_INET6, host.c_str(), network.address_.data()) == 1) {
    if (!bracketed) return failure("stands in brackets: [2001:db8::]/32");
    most = 128;
  } else {
    return failure("is neither an address nor a network, as in 192.0.2.0/24 and [2001:db8::]/32");
  }
  if (text.find('/') != std::string_view::npos) {
    const auto prefix = parse_number(text.substr(text.find('/') + 1), 0, most);
    if (!prefix) return failure(fmt::format("has no prefix length: {}", prefix.error()));
    network.prefix_ = static_cast<unsigned>(*prefix) + (most == 32 ? kMappedBits : 0);
  }
  if (cut(network.address_, network.prefix_) != network.address_) {
    return failure("has bits set behind its prefix length");
  }
  return network;
}

bool Network::contains(const Octets& address) const {
  return same_bits(address_, address, prefix_);
}

Parsed<MatchList> parse_network_list(std::string_view text) {
  const auto words = split_list(text);
  if (!words) return tl::unexpected(words.error());
  MatchList items;
  for (std::string_view word : *words) {
    MatchItem item;
    for (; word.starts_with('!'); word.remove_prefix(1)) item.negated = !item.negated;
    item.name = word;
    if (word.starts_with('/')) {
      item.kind = MatchItem::Kind::file;
    } else if (const auto network = Network::parse(word); !network) {
      return tl::unexpected(network.error());
    }
    items.push_back(std::move(item));
  }
  return items;
}

Result<NetworkList> NetworkList::make(const MatchList& items) {
  NetworkList list;
  for (const MatchItem& item : items) {
    const std::string text = item.kind == MatchItem::Kind::table ? item.table.text() : item.name;
    const auto network = Network::parse(text);
    if (!network) return fail(Reason::lookup_failed, network.error());
    list.items_.push_back({item.negated, *network});
  }
  return list;
}

bool NetworkList::matches(const sockaddr_storage& address) const {
  Octets octets{};
  if (address.ss_family == AF_INET) {
    octets = mapped(&reinterpret_cast<const sockaddr_in&>(address).sin_addr);
  } else if (address.ss_family == AF_INET6) {
    std::memcpy(octets.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr,
                octets.size());
  } else {
    return false;
  }
  return matches(octets);
}

bool NetworkList::matches(const std::string& address) const {
  std::array<std::uint8_t, 4> ipv4{};
  if (::inet_pton(AF_INET, address.c_str(), ipv4.data()) == 1) return matches(mapped(ipv4.data()));
  Octets octets{};
  return ::inet_pton(AF_INET6, address.c_str(), octets.data()) == 1 && matches(octets);
}

bool NetworkList::matches(const Octets& address) const {
  const auto found = std::ranges::find_if(
      items_, [&](const Item& item) { return item.network.contains(address); });
  return found != items_.end() && !found->negated;
}

}  // namespace lmtpd
