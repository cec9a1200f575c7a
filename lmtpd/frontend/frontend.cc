#include "lmtpd/frontend/frontend.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "lmtpd/base/log.h"
#include "lmtpd/base/messages.h"

namespace lmtpd::frontend {
namespace {

constexpr timeval kTick{1, 0};

// As many as may send mail, and of the descriptors half at most: trusted clients, messages and
// workers find some, too.
std::size_t most_strangers(const Settings& settings) {
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  return std::min<std::size_t>(settings.share_of(settings.connection_limit),
                               descriptors.rlim_cur / 2);
}

// A quarter of the bodies' room. Whoever is alone has half of it, so that at least the largest
// transaction is half of it: of many recipients, or of one that is a list.
std::uint64_t recipient_room(const Settings& settings) {
  const std::uint64_t largest = std::max<std::uint64_t>(
      session::most_mailboxes(settings.recipient_limit), settings.virtual_alias_expansion_limit);
  return std::max(settings.share_of(settings.spool_limit) / 4,
                  2 * largest * RecipientRoom::kMailbox);
}

}  // namespace

Frontend::Frontend(event_base* base, const Settings& settings, NetworkList trusted_clients,
                   std::optional<TlsContext> tls, std::uint32_t instance, Counters counters,
                   Channel control, std::vector<RoleStart::Listening> listening)
    : base_(base),
      counters_(std::move(counters)),
      instance_(instance),
      tls_(std::move(tls)),
      control_(base_, std::move(control), *this),
      spool_(settings.share_of(settings.spool_limit),
             settings.size_announced() +
                 session::most_mailboxes(settings.recipient_limit) * Spool::kCopy,
             *this),
      lookup_(base_, *this),
      deliveries_(base_, *this, spool_.room()),
      places_(settings.share_of(settings.connection_limit),
              settings.share_of(settings.client_connection_limit)),
      recipients_(recipient_room(settings)),
      strangers_(most_strangers(settings)),
      doors_(base_, settings, std::move(trusted_clients), std::move(listening), *this),
      tick_(event_new(base_, -1, EV_PERSIST, on_tick, this)),
      reap_(event_new(base_, -1, 0, on_reap, this)),
      log_(event_new(base_, -1, 0, on_log, nullptr)) {
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

void Frontend::on_tick(evutil_socket_t, short, void* self) noexcept {
  static_cast<Frontend*>(self)->tick();
}

void Frontend::on_reap(evutil_socket_t, short, void* self) noexcept {
  static_cast<Frontend*>(self)->reap();
}

void Frontend::on_log(evutil_socket_t, short, void*) noexcept { write_gathered_log(); }

void Frontend::on_arrived(Arrived client) {
  const std::uint64_t name = next_connection_++;
  if (!client.peer.trusted) {
    if (const auto leaving = strangers_.add(name, client.client)) {
      count(Counter::connections_turned_away);
      connections_.at(*leaving)->turn_away();
    }
  }
  auto connection = std::make_unique<Connection>(
      base_, name,
      Connection::Client{std::move(client.socket), std::move(client.peer), std::move(client.client),
                         next_session_id()},
      Connection::Terms{client.settings, tls_ ? &*tls_ : nullptr, places_, recipients_,
                        doors_.trusted_clients(), lookup_},
      *this);
  if (stopping_) connection->shut_down();
  connections_.emplace(name, std::move(connection));
}

void Frontend::on_nobody_awaited() { event_active(reap_.get(), EV_TIMEOUT, 1); }

// Microseconds since 1970 and the instance: sorted by time, and unique on this host while the clock
// does not go back, but for clients that old and new frontends get in one microsecond of a reload.
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
  doors_.tick();
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
    const auto ended = connections_.extract(name);
  }
  if (stopping_ && doors_.nobody_awaited() && connections_.empty() && deliveries_.none()) {
    event_base_loopbreak(base_);
  }
}

void Frontend::stop() {
  stopping_ = true;
  doors_.close();
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
    case MessageType::serve:
      if (stopping_ || !decode<Serve>(frame.payload)) return false;
      doors_.open();
      return true;
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
