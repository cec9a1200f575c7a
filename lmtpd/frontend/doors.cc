#include "lmtpd/frontend/doors.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <utility>

#include "lmtpd/base/internet_address.h"
#include "lmtpd/base/log.h"
#include "lmtpd/frontend/session_settings.h"

namespace lmtpd::frontend {
namespace {

constexpr int kAcceptsATurn = 64;
constexpr timeval kProxyPatience{5, 0};  // proxies send their header with the first octets

session::Peer describe(const sockaddr_storage& address, bool trusted) {
  session::Peer peer;
  peer.trusted = trusted;
  if (auto inet = internet_address(address)) {
    peer.address = std::move(inet->host);
    peer.port = inet->port;
  }
  return peer;
}

// What connections of one client have in common: a network, or the user id at a unix socket.
std::string client_key(const UniqueFd& socket, const session::Peer& peer) {
  if (!peer.address.empty()) return client_network(peer.address);
  ucred process{};
  socklen_t length = sizeof process;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &process, &length);
  return fmt::format("uid {}", process.uid);
}

}  // namespace

Doors::Doors(event_base* base, const Settings& settings, NetworkList trusted_clients,
             std::vector<RoleStart::Listening> listening, Owner& owner)
    : base_(base),
      trusted_clients_(std::move(trusted_clients)),
      owner_(owner),
      reap_(event_new(base_, -1, 0, on_reap, this)) {
  for (RoleStart::Listening& one : listening) {
    const ListenSpec& spec = settings.listen.at(one.index);
    auto door = std::make_unique<Door>(
        Door{this, spec, session_settings(settings, spec), std::move(one.socket), nullptr});
    door->readable.reset(
        event_new(base_, door->socket.get(), EV_READ | EV_PERSIST, on_acceptable, door.get()));
    doors_.push_back(std::move(door));
  }
}

void Doors::open() {
  for (const auto& door : doors_) event_add(door->readable.get(), nullptr);
  state_ = State::accepting;
}

void Doors::tick() {
  if (state_ == State::pausing) open();
}

// Not more than that: who is here goes on by their settings.
void Doors::close() {
  state_ = State::closed;
  for (const auto& door : doors_) {
    door->readable.reset();
    door->socket.reset();
  }
}

void Doors::on_acceptable(evutil_socket_t, short, void* door) noexcept {
  const auto& one = *static_cast<Door*>(door);
  one.doors->accept(one);
}

void Doors::on_reap(evutil_socket_t, short, void* self) noexcept {
  static_cast<Doors*>(self)->reap();
}

void Doors::accept(const Door& door) {
  for (int i = 0; i < kAcceptsATurn; ++i) {
    UniqueFd socket(::accept4(door.socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket) {
      owner_.count(Counter::connections);
      admit(door, std::move(socket));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      log_warning("{}; {} connections are open", errno_text("accept", errno),
                  owner_.connections() + awaited_.size());
      owner_.count(Counter::accept_failures);
      for (const auto& each : doors_) event_del(each->readable.get());
      state_ = State::pausing;
    }
    return;
  }
}

void Doors::admit(const Door& door, UniqueFd socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getpeername(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) return;
  if (address.ss_family != AF_UNIX) {
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  const bool trusted =
      door.spec.kind == ListenSpec::Kind::unix_socket || trusted_clients_.matches(address);
  if (!door.spec.options.proxy) {
    session::Peer peer = describe(address, trusted);
    std::string client = client_key(socket, peer);
    owner_.on_arrived({std::move(socket), std::move(peer), std::move(client), door.settings});
  } else if (trusted) {
    await_proxy_header(door, std::move(socket), address);
  } else {
    owner_.count(Counter::connections_refused);
    log_warning(
        "client={}, closed without a greeting, PROXY headers of others than "
        "trusted_clients are not believed",
        session::log_name(describe(address, false)));
  }
}

void Doors::await_proxy_header(const Door& door, UniqueFd socket, const sockaddr_storage& proxy) {
  const std::uint64_t name = next_name_++;
  auto arrival =
      std::make_unique<ProxyArrival>(base_, std::move(socket), proxy, name, kProxyPatience, *this);
  awaited_.emplace(name, Awaited{door, std::move(arrival)});
}

void Doors::on_proxy_header(std::uint64_t name,
                            tl::expected<ProxyHeader, std::string_view> header) {
  const auto& [door, arrival] = awaited_.at(name);
  if (header) {
    session::Peer peer = client_of(*header, arrival->proxy());
    std::string client = client_network(peer.address);
    owner_.on_arrived({arrival->take_socket(), std::move(peer), std::move(client), door.settings});
  } else if (!header.error().empty()) {
    owner_.count(Counter::connections_refused);
    log_warning("client={}, closed without a greeting, bad PROXY header ({})",
                session::log_name(describe(arrival->proxy(), true)), header.error());
  }
  ended_.push_back(name);
  event_active(reap_.get(), EV_TIMEOUT, 1);
}

void Doors::reap() {
  for (const std::uint64_t name : std::exchange(ended_, {})) awaited_.erase(name);
  if (nobody_awaited()) owner_.on_nobody_awaited();
}

// Trust is the client's own: what its proxy may say of others, it may not.
session::Peer Doors::client_of(const ProxyHeader& header, const sockaddr_storage& proxy) const {
  const std::string unknown(session::kUnknown);
  switch (header.client) {
    case ProxyHeader::Client::proxy:
      return describe(proxy, true);
    case ProxyHeader::Client::internet:
      return describe(header.address, trusted_clients_.matches(header.address));
    case ProxyHeader::Client::unix_socket:
      return {};
    case ProxyHeader::Client::unknown:
      break;
  }
  return {unknown, unknown, 0, false};
}

}  // namespace lmtpd::frontend
