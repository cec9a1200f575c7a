#include "lmtpd/frontend/frontend.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "lmtpd/base/internet_address.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/messages.h"

namespace lmtpd::frontend {
namespace {

constexpr int kAcceptsATurn = 64;
constexpr timeval kTick{1, 0};
constexpr timeval kProxyPatience{5, 0};  // proxies send their header with the first octets

std::uint64_t spool_share(const Settings& settings) {
  return settings.spool_limit / settings.frontend_processes;
}

std::size_t share(std::uint32_t limit, const Settings& settings) {
  return std::max<std::size_t>(1, limit / settings.frontend_processes);
}

// As many as may send mail, and of the descriptors half at most: trusted clients, messages and
// workers find some, too.
std::size_t most_strangers(const Settings& settings) {
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  return std::min<std::size_t>(share(settings.connection_limit, settings),
                               descriptors.rlim_cur / 2);
}

// A quarter of the bodies' room. Whoever is alone has half of it, so that at least the largest
// transaction is half of it: of many recipients, or of one that is a list.
std::uint64_t recipient_room(const Settings& settings) {
  const std::uint64_t largest = std::max<std::uint64_t>(
      session::most_mailboxes(settings.recipient_limit), settings.virtual_alias_expansion_limit);
  return std::max(spool_share(settings) / 4, 2 * largest * RecipientRoom::kMailbox);
}

std::uint64_t size_announced(const Settings& settings) {
  const std::uint64_t share = spool_share(settings);
  return settings.message_size_limit == 0 ? share : std::min(settings.message_size_limit, share);
}

// A unix socket's mode says who may come.
session::AuthUse auth_use(const ListenSpec& listener) {
  if (listener.kind == ListenSpec::Kind::unix_socket) return session::AuthUse::none;
  if (!listener.options.auth) return session::AuthUse::required_of_strangers;
  return *listener.options.auth ? session::AuthUse::required : session::AuthUse::offered;
}

session::Settings session_settings(const Settings& settings, const ListenSpec& listener) {
  session::Settings out;
  out.hostname = settings.myhostname;
  out.size_announced = size_announced(settings);
  out.recipient_limit = settings.recipient_limit;
  out.error_limit = settings.error_limit;
  out.junk_command_limit = settings.junk_command_limit;
  out.hopcount_limit = settings.hopcount_limit;
  out.session_timeout = settings.session_timeout;
  out.transaction_time_limit = settings.transaction_time_limit;
  out.strict_rfc821_envelopes = settings.strict_rfc821_envelopes;
  out.reject_bare_newline = settings.forbid_bare_newline == ForbidBareNewline::reject;
  out.defer_over_quota = settings.over_quota == OverQuota::defer;
  out.tls = settings.starttls_at(listener);
  out.tls_first = listener.kind == ListenSpec::Kind::inets;
  out.starttls_timeout = settings.starttls_timeout;
  if (!settings.auth_password_maps.empty()) out.auth_mechanisms = settings.auth_mechanisms;
  out.auth = auth_use(listener);
  return out;
}

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

Frontend::Frontend(event_base* base, const Settings& settings, NetworkList trusted_clients,
                   std::optional<TlsContext> tls, std::uint32_t instance, Counters counters,
                   Channel control, std::vector<RoleStart::Listening> listening)
    : base_(base),
      counters_(std::move(counters)),
      instance_(instance),
      trusted_clients_(std::move(trusted_clients)),
      tls_(std::move(tls)),
      size_announced_(size_announced(settings)),
      control_(base_, std::move(control), *this),
      spool_(spool_share(settings),
             size_announced_ + session::most_mailboxes(settings.recipient_limit) * Spool::kCopy,
             *this),
      lookup_(base_, *this),
      deliveries_(base_, *this, spool_.room()),
      places_(share(settings.connection_limit, settings),
              share(settings.client_connection_limit, settings)),
      recipients_(recipient_room(settings)),
      strangers_(most_strangers(settings)),
      tick_(event_new(base_, -1, EV_PERSIST, on_tick, this)),
      reap_(event_new(base_, -1, 0, on_reap, this)),
      log_(event_new(base_, -1, 0, on_log, nullptr)) {
  for (RoleStart::Listening& one : listening) {
    const ListenSpec& spec = settings.listen.at(one.index);
    auto door = std::make_unique<Door>(
        Door{this, spec, session_settings(settings, spec), std::move(one.socket), nullptr});
    door->readable.reset(
        event_new(base_, door->socket.get(), EV_READ | EV_PERSIST, on_acceptable, door.get()));
    event_add(door->readable.get(), nullptr);
    doors_.push_back(std::move(door));
  }
  event_add(tick_.get(), &kTick);
}

void Frontend::run() {
  control_.send(Ready{});
  event_base_dispatch(base_);
  tell_refused_connections();
  write_gathered_log();
  // Master may be gone while there are some. They end as in reap().
  const auto left = std::exchange(connections_, {});
}

void Frontend::on_acceptable(evutil_socket_t, short, void* door) noexcept {
  const auto& one = *static_cast<Door*>(door);
  one.frontend->accept(one);
}

void Frontend::on_tick(evutil_socket_t, short, void* self) noexcept {
  static_cast<Frontend*>(self)->tick();
}

void Frontend::on_reap(evutil_socket_t, short, void* self) noexcept {
  static_cast<Frontend*>(self)->reap();
}

void Frontend::on_log(evutil_socket_t, short, void*) noexcept { write_gathered_log(); }

void Frontend::accept(const Door& door) {
  for (int i = 0; i < kAcceptsATurn; ++i) {
    UniqueFd socket(::accept4(door.socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket) {
      count(Counter::connections);
      admit(door, std::move(socket));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      // The backlog waits; refusing would count as a dead destination in Postfix. Until the next
      // tick.
      log_warning("{}; {} connections are open", errno_text("accept", errno),
                  connections_.size() + arrivals_.size());
      count(Counter::accept_failures);
      for (const auto& each : doors_) event_del(each->readable.get());
      accepting_ = false;
    }
    return;
  }
}

void Frontend::admit(const Door& door, UniqueFd socket) {
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
    serve(door, std::move(socket), std::move(peer), std::move(client));
  } else if (trusted) {
    await_proxy_header(door, std::move(socket), address);
  } else {
    count(Counter::connections_refused);
    log_warning(
        "client={}, closed without a greeting, PROXY headers of others than "
        "trusted_clients are not believed",
        session::log_name(describe(address, false)));
  }
}

void Frontend::serve(const Door& door, UniqueFd socket, session::Peer peer, std::string client) {
  const std::uint64_t name = next_connection_++;
  if (!peer.trusted) {
    if (const auto leaving = strangers_.add(name, client)) {
      count(Counter::connections_turned_away);
      connections_.at(*leaving)->turn_away();
    }
  }
  auto connection = std::make_unique<Connection>(
      base_, name,
      Connection::Client{std::move(socket), std::move(peer), std::move(client), next_session_id()},
      Connection::Terms{door.settings, tls_ ? &*tls_ : nullptr, places_, recipients_, lookup_},
      *this);
  if (stopping_) connection->shut_down();
  connections_.emplace(name, std::move(connection));
}

void Frontend::await_proxy_header(const Door& door, UniqueFd socket,
                                  const sockaddr_storage& proxy) {
  const std::uint64_t name = next_connection_++;
  auto awaited =
      std::make_unique<ProxyArrival>(base_, std::move(socket), proxy, name, kProxyPatience, *this);
  arrivals_.emplace(name, Arrival{door, std::move(awaited)});
}

void Frontend::on_proxy_header(std::uint64_t name,
                               tl::expected<ProxyHeader, std::string_view> header) {
  const auto& [door, awaited] = arrivals_.at(name);
  if (header) {
    session::Peer peer = client_of(*header, awaited->proxy());
    std::string client = client_network(peer.address);
    serve(door, awaited->take_socket(), std::move(peer), std::move(client));
  } else if (!header.error().empty()) {
    count(Counter::connections_refused);
    log_warning("client={}, closed without a greeting, bad PROXY header ({})",
                session::log_name(describe(awaited->proxy(), true)), header.error());
  }
  on_finished(name);
}

// Trust is the client's own: what its proxy may say of others, it may not.
session::Peer Frontend::client_of(const ProxyHeader& header, const sockaddr_storage& proxy) const {
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

// Microseconds since 1970 and the instance: unique on this host while the clock does not go back,
// and sorted by time.
std::string Frontend::next_session_id() {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  last_session_id_ = std::max(last_session_id_ + 1, static_cast<std::uint64_t>(now.count()));
  return instance_ == 0 ? fmt::format("{:X}", last_session_id_)
                        : fmt::format("{:X}.{}", last_session_id_, instance_);
}

void Frontend::tick() {
  const Clock::time_point now = Clock::now();
  spool_.expire(now);
  lookup_.expire(now);
  if (lookup_.lost()) control_.send(WantLookup{});
  deliveries_.expire(now, spool_.anyone_waits());
  for (const auto& [name, connection] : connections_) connection->on_tick();
  tell_refused_connections();
  if (!accepting_ && !stopping_) {
    for (const auto& door : doors_) event_add(door->readable.get(), nullptr);
    accepting_ = true;
  }
}

// Once in a tick: each refusal has its own line, which does not name the parameter.
void Frontend::tell_refused_connections() {
  const ClientPlaces::Refused& refused = places_.refused();
  if (refused == told_) return;
  counters_.add(Counter::connection_limit_hits, refused.in_all - told_.in_all);
  counters_.add(Counter::client_connection_limit_hits, refused.each - told_.each);
  told_ = refused;
  log_warning(
      "too many connections, {} hold a place; MAILs refused since the start: connection_limit {}, "
      "client_connection_limit {}",
      places_.taken(), refused.in_all, refused.each);
}

// The lines on what one packet of outcomes settles leave together, before the replies.
void Frontend::log(std::string_view line) {
  if (gather_log_info(line)) event_active(log_.get(), EV_TIMEOUT, 1);
}

void Frontend::on_finished(std::uint64_t connection) {
  strangers_.forget(connection);
  finished_.push_back(connection);
  event_active(reap_.get(), EV_TIMEOUT, 1);
}

// A connection that ends gives room back, and those that waited for it are looked up at once: by
// then it has to be out of the map.
void Frontend::reap() {
  for (const std::uint64_t name : std::exchange(finished_, {})) {
    arrivals_.erase(name);
    const auto ended = connections_.extract(name);
  }
  if (stopping_ && arrivals_.empty() && connections_.empty() && deliveries_.none()) {
    event_base_loopbreak(base_);
  }
}

void Frontend::stop() {
  stopping_ = true;
  // Not more than that: who is here goes on by their settings.
  for (const auto& door : doors_) {
    door->readable.reset();
    door->socket.reset();
  }
  for (const auto& [name, connection] : connections_) connection->shut_down();
  event_active(reap_.get(), EV_TIMEOUT, 1);
}

Connection* Frontend::find(std::uint64_t connection) {
  const auto found = connections_.find(connection);
  return found == connections_.end() ? nullptr : found->second.get();
}

bool Frontend::book(const MessageName& message, std::uint64_t octets) {
  const Clock::time_point now = Clock::now();
  if (spool_.book(message, find(message.connection)->client(), octets, now)) return true;
  count(Counter::spool_waits);
  spool_.run_waiting(now);  // what was taken back for it
  return false;
}

void Frontend::release(const MessageName& message) {
  spool_.release(message);
  spool_.run_waiting(Clock::now());
}

void Frontend::deliver(const MessageName& message, Body octets, std::vector<session::Copy> copies) {
  spool_.finish(message, octets.size() + copies.size() * Spool::kCopy);
  spool_.run_waiting(Clock::now());
  deliveries_.start(message, std::move(octets), std::move(copies));
}

void Frontend::on_resolved(std::uint64_t connection, std::uint64_t request,
                           Result<std::vector<session::Mailbox>> mailboxes) {
  if (Connection* found = find(connection)) found->on_resolved(request, std::move(mailboxes));
}

void Frontend::on_auth_step(std::uint64_t connection, session::AuthStep step) {
  if (Connection* found = find(connection)) found->on_auth_step(std::move(step));
}

void Frontend::on_lookup_lost() { deliveries_.forget_wanted(); }

void Frontend::on_copy_done(const MessageName& message, std::size_t copy, Result<void> outcome) {
  if (Connection* found = find(message.connection)) {
    found->on_copy_done(message.body, copy, std::move(outcome));
  }
}

void Frontend::on_message_done(const MessageName& message) { release(message); }

bool Frontend::want_worker(std::string_view ticket) { return lookup_.want_worker(ticket); }

void Frontend::expel_worker(MailboxOwner owner) { control_.send(ExpelWorker{owner}); }

void Frontend::on_booked(const MessageName& message) {
  if (Connection* found = find(message.connection)) found->on_booked(message.body);
}

void Frontend::on_booking_refused(const MessageName& message) {
  count(Counter::spool_limit_hits);
  if (Connection* found = find(message.connection)) found->on_booking_refused(message.body);
}

void Frontend::on_booking_lost(const MessageName& message) {
  count(Counter::spool_given_up);
  if (Connection* found = find(message.connection)) found->on_booking_lost(message.body);
}

std::uint64_t Frontend::on_reclaim(const MessageName& message) {
  Connection* found = find(message.connection);
  return found == nullptr ? 0 : found->on_reclaim(message.body);
}

void Frontend::on_packet(EventChannel& channel, Packet& packet) {
  for (Frame& frame : packet.frames()) {
    if (on_frame(frame)) continue;
    log_error("master sent an unexpected message of type {}", frame.type);
    channel.close();
    return;
  }
}

bool Frontend::on_frame(Frame& frame) {
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::introduce: {
      const std::optional<Introduce> peer = decode<Introduce>(frame.payload);
      if (!peer || frame.descriptors.size() != 1) return false;
      switch (static_cast<PeerKind>(peer->kind)) {
        case PeerKind::lookup:
          lookup_.connect(std::move(frame.descriptors[0]));
          return true;
        case PeerKind::worker:
          deliveries_.introduce(peer->owner, std::move(frame.descriptors[0]));
          return true;
        case PeerKind::frontend:
          return false;
      }
      return false;
    }
    case MessageType::worker_refused: {
      const std::optional<WorkerRefused> refusal = decode<WorkerRefused>(frame.payload);
      if (!refusal) return false;
      if (refusal->reason == Reason::overload) count(Counter::worker_limit_hits);
      deliveries_.refuse(refusal->owner, {refusal->reason, std::string(refusal->text)});
      return true;
    }
    case MessageType::stop:
      if (!decode<Stop>(frame.payload)) return false;
      stop();
      return true;
    default:
      return false;
  }
}

// Without master nothing is restarted and no worker comes: clients try again elsewhere, or later.
void Frontend::on_closed(EventChannel&) { event_base_loopbreak(base_); }

}  // namespace lmtpd::frontend
