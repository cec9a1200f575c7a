#include "tests/lookup/holding_proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace lmtpd::testing_support {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// The frontend's messages: one without a type at first (and after an answer to SSLRequest), then a
// type octet and a length each.
class MessageCounter {
 public:
  // How many Sync messages end in `octets`.
  int syncs_in(std::string_view octets) {
    pending_ += octets;
    int syncs = 0;
    for (;;) {
      const std::size_t head = typed_ ? 1 : 0;
      if (pending_.size() < head + 8 && !(typed_ && pending_.size() >= 5)) return syncs;
      const std::uint32_t length = number(head);
      if (pending_.size() < head + length) return syncs;
      if (typed_ && pending_[0] == 'S') ++syncs;
      // Version 3.0; anything else is a request for encryption.
      if (!typed_ && number(4) == 196608) typed_ = true;
      pending_.erase(0, head + length);
    }
  }

 private:
  [[nodiscard]] std::uint32_t number(std::size_t at) const {
    std::uint32_t value = 0;
    for (std::size_t i = at; i < at + 4; ++i) {
      value = value << 8 | static_cast<std::uint8_t>(pending_[i]);
    }
    return value;
  }
  std::string pending_;
  bool typed_ = false;
};

void send_all(int fd, std::string& octets) {
  for (std::size_t sent = 0; sent < octets.size();) {
    const ssize_t n = send(fd, octets.data() + sent, octets.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) break;
    sent += static_cast<std::size_t>(n);
  }
  octets.clear();
}

}  // namespace

HoldingProxy::HoldingProxy(int server_port) : server_port_(server_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_, 8) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

HoldingProxy::~HoldingProxy() {
  ends_ = true;
  thread_.join();
  close(listener_);
}

void HoldingProxy::hold_until_syncs(int count) {
  arrivals_ = 0;
  syncs_wanted_ = count;
}

void HoldingProxy::serve() {
  while (!ends_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (poll(&waiting, 1, 20) <= 0) continue;
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(server_port_);
    if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      relay(client, server);
    }
    close(client);
    close(server);
  }
}

void HoldingProxy::relay(int client, int server) {
  MessageCounter counter;
  std::string held;
  std::array<char, 65536> buffer{};
  while (!ends_) {
    std::array<pollfd, 2> both{pollfd{client, POLLIN, 0}, pollfd{server, POLLIN, 0}};
    poll(both.data(), both.size(), 20);
    if (both[0].revents != 0) {
      const ssize_t n = recv(client, buffer.data(), buffer.size(), 0);
      if (n <= 0) return;
      std::string octets(buffer.data(), static_cast<std::size_t>(n));
      ++arrivals_;
      syncs_wanted_ -= counter.syncs_in(octets);
      send_all(server, octets);
    }
    if (both[1].revents != 0) {
      const ssize_t n = recv(server, buffer.data(), buffer.size(), 0);
      if (n <= 0) return;
      held.append(buffer.data(), static_cast<std::size_t>(n));
    }
    if (syncs_wanted_ <= 0) send_all(client, held);
  }
}

}  // namespace lmtpd::testing_support
