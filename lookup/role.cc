#include "lookup/role.h"

#include <utility>

#include "lmtpd/base/log.h"
#include "lmtpd/base/messages.h"

namespace lmtpd::lookup {
namespace {
// Of StartWorker to a master that does not read; a frontend that asks in vain gives up by itself.
constexpr std::size_t kMostUnsentPackets = 64;
constexpr std::size_t kMostControlConnections = 16;
constexpr std::size_t kMostSocketmapConnections = 500;  // each of Postfix's processes has its own
}  // namespace

Role::Role(event_base* base, Channel control, const Settings& settings, const Key& ticket_key,
           const ResolverSettings& resolver, CacheControl& cache, const CounterReader& counters,
           Authenticator& authenticator, Listeners listeners)
    : base_(base),
      resolver_(resolver),
      authenticator_(authenticator),
      explainer_(resolver),
      tickets_(ticket_key, settings.transaction_time_limit),
      notes_([](const std::string& note) { log_warning("{}", note); }),
      control_server_(base, std::move(listeners.control),
                      {explainer_, cache, counters, settings.virtual_mailbox_base},
                      kMostControlConnections),
      master_(base, std::move(control), *this) {
  for (UniqueFd& listener : listeners.socketmap) {
    socketmap_servers_.push_back(std::make_unique<StreamServer<SocketmapConnection>>(
        base, std::move(listener), SocketmapConnection::Service{map_inquiries_, resolver},
        kMostSocketmapConnections));
  }
}

int Role::run() {
  master_.send(Ready{});
  if (event_base_dispatch(base_) < 0) log_error("the event loop failed");
  return status_;
}

void Role::on_packet(EventChannel& channel, Packet& packet) {
  for (Frame& frame : packet.frames()) {
    if (take(frame)) continue;
    log_error("control channel: unexpected message of type {}", frame.type);
    channel.close();
    return;
  }
}

bool Role::take(Frame& frame) {
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::introduce:
      return take_introduce(frame);
    case MessageType::serve:
      if (!frame.descriptors.empty() || !decode<Serve>(frame.payload)) return false;
      control_server_.open();
      for (const auto& server : socketmap_servers_) server->open();
      return true;
    case MessageType::retire:
      if (!frame.descriptors.empty() || !decode<Retire>(frame.payload)) return false;
      for (const auto& server : socketmap_servers_) server->retire();
      return true;
    case MessageType::stop:
      if (!frame.descriptors.empty() || !decode<Stop>(frame.payload)) return false;
      status_ = 0;
      event_base_loopexit(base_, nullptr);
      return true;
    default:
      return false;
  }
}

bool Role::take_introduce(Frame& frame) {
  const std::optional<Introduce> message = decode<Introduce>(frame.payload);
  if (!message || frame.descriptors.size() != 1 ||
      static_cast<PeerKind>(message->kind) != PeerKind::frontend) {
    return false;
  }
  FrontendLink::Owner& owner = *this;
  // The frontend was restarted: what the old one asked has no reader any more.
  frontends_.erase(message->instance);
  frontends_.emplace(
      message->instance,
      std::make_unique<FrontendLink>(base_, std::move(frame.descriptors[0]), message->instance,
                                     resolver_, authenticator_, tickets_, owner));
  return true;
}

void Role::on_closed(EventChannel&) {
  if (status_ != 0) log_error("lost the control channel");
  event_base_loopbreak(base_);
}

void Role::on_worker_wanted(std::uint32_t frontend, MailboxOwner owner) {
  if (master_.unsent_packets() > kMostUnsentPackets) return;
  master_.send(StartWorker{.frontend = frontend, .owner = owner});
}

void Role::on_notes(const std::vector<Note>& notes) { notes_.write(notes, Clock::now()); }

void Role::on_frontend_gone(std::uint32_t frontend) { frontends_.erase(frontend); }

}  // namespace lmtpd::lookup
