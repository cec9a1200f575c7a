#include "lmtpd/session/peer.h"

#include <fmt/format.h>

namespace lmtpd::session {
namespace {

bool is_ipv6(const Peer& peer) { return peer.address.find(':') != std::string::npos; }

}  // namespace

std::string received_from(const Peer& peer) {
  if (peer.address.empty()) return peer.name.empty() ? "localhost" : peer.name;
  return fmt::format("{}{}[{}{}]", peer.name, peer.name.empty() ? "" : " ",
                     is_ipv6(peer) ? "IPv6:" : "", peer.address);
}

std::string log_name(const Peer& peer) {
  if (peer.address.empty()) return peer.name.empty() ? "unix" : peer.name;
  const bool brackets = !peer.name.empty() || is_ipv6(peer);
  std::string text = peer.name;
  text += brackets ? fmt::format("[{}]", peer.address) : peer.address;
  if (peer.port != 0) text += fmt::format(":{}", peer.port);
  return text;
}

}  // namespace lmtpd::session
