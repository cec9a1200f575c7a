#include "lookup/frontend_link.h"

#include "lmtpd/base/address.h"
#include "lmtpd/base/log.h"

namespace lmtpd::lookup {
namespace {

// Of answers that a frontend has not read. A full window of ordinary ones takes a tenth; beyond it
// recipients are refused for now, which a frontend in good order can come to with recipients of
// many mailboxes. Twice that is one that asks and does not read.
constexpr std::size_t kMostUnsentPackets = 256;
constexpr std::size_t kLongestRefusal = 1000;
// Of a message's payload, beside targets and text.
constexpr std::size_t kPayloadRest = 64;

}  // namespace

FrontendLink::FrontendLink(event_base* base, UniqueFd socket, std::uint32_t frontend,
                           Resolver& resolver, Authenticator& authenticator,
                           const TicketOffice& tickets, Owner& owner)
    : frontend_(frontend),
      resolver_(resolver),
      authenticator_(authenticator),
      tickets_(tickets),
      owner_(owner),
      channel_(base, Channel(std::move(socket)), *this) {}

FrontendLink::~FrontendLink() {
  resolver_.abandon(*this);
  authenticator_.abandon(*this);
}

void FrontendLink::on_closed(EventChannel&) { owner_.on_frontend_gone(frontend_); }

void FrontendLink::on_packet(EventChannel& channel, Packet& packet) {
  for (const Frame& frame : packet.frames()) {
    if (take(frame)) continue;
    log_error("frontend {}: its channel is closed", frontend_);
    channel.close();
    return;
  }
}

bool FrontendLink::take(const Frame& frame) {
  if (frame.descriptors.empty()) {
    switch (static_cast<MessageType>(frame.type)) {
      case MessageType::resolve:
        return take_resolve(frame);
      case MessageType::want_worker:
        return take_want_worker(frame);
      case MessageType::authenticate:
        return take_authenticate(frame);
      case MessageType::auth_response:
        return take_auth_response(frame);
      case MessageType::auth_end:
        return take_auth_end(frame);
      default:
        break;
    }
  }
  log_error("frontend {}: a message of type {} that it may not send", frontend_, frame.type);
  return false;
}

bool FrontendLink::take_resolve(const Frame& frame) {
  const std::optional<Resolve> message = decode<Resolve>(frame.payload);
  if (!message) {
    log_error("frontend {}: a malformed Resolve", frontend_);
    return false;
  }
  if (unanswered_ >= kResolveWindow || channel_.unsent_packets() > 2 * kMostUnsentPackets) {
    log_error("frontend {}: more questions than its window holds", frontend_);
    return false;
  }
  const Result<Address> address = Address::parse(message->address);
  if (!address) {
    refuse(message->id, address.error());
    return true;
  }
  if (const std::optional<Resolution> known = resolver_.resolve(*address, *this, message->id)) {
    answer(message->id, *known);
  } else {
    ++unanswered_;
  }
  return true;
}

bool FrontendLink::take_want_worker(const Frame& frame) {
  const std::optional<WantWorker> message = decode<WantWorker>(frame.payload);
  const std::optional<Ticket> ticket =
      message ? tickets_.open(message->ticket, Clock::now()) : std::nullopt;
  if (!ticket) {
    log_error("frontend {}: it asks for a worker with a ticket that is forged, altered or expired",
              frontend_);
    return false;
  }
  owner_.on_worker_wanted(frontend_, ticket->owner);
  return true;
}

bool FrontendLink::take_authenticate(const Frame& frame) {
  const std::optional<Authenticate> message = decode<Authenticate>(frame.payload);
  if (message && channel_.unsent_packets() <= 2 * kMostUnsentPackets &&
      authenticator_.begin(*this, *message)) {
    return true;
  }
  log_error("frontend {}: a malformed Authenticate, or one too many", frontend_);
  return false;
}

bool FrontendLink::take_auth_response(const Frame& frame) {
  const std::optional<AuthResponse> message = decode<AuthResponse>(frame.payload);
  if (message && authenticator_.respond(*this, message->id, message->response)) return true;
  log_error("frontend {}: a malformed AuthResponse, or one that is not due", frontend_);
  return false;
}

bool FrontendLink::take_auth_end(const Frame& frame) {
  const std::optional<AuthEnd> message = decode<AuthEnd>(frame.payload);
  if (message) {
    authenticator_.end(*this, message->id);
    return true;
  }
  log_error("frontend {}: a malformed AuthEnd", frontend_);
  return false;
}

void FrontendLink::on_auth_step(std::uint64_t id, AuthStep::Kind kind, std::string_view text) {
  channel_.send(AuthStep{.id = id, .kind = static_cast<std::uint8_t>(kind), .text = text});
}

void FrontendLink::on_outcome(std::uint64_t id, const Resolution& resolution) {
  --unanswered_;
  answer(id, resolution);
}

void FrontendLink::answer(std::uint64_t id, const Resolution& resolution) {
  if (!resolution.notes.empty()) owner_.on_notes(resolution.notes);
  if (!resolution.mailboxes) {
    refuse(id, resolution.mailboxes.error());
    return;
  }
  if (channel_.unsent_packets() > kMostUnsentPackets) {
    refuse(id, {Reason::overload, "too many answers wait to be read"});
    return;
  }
  const Clock::time_point now = Clock::now();
  std::vector<std::string> sealed;
  sealed.reserve(resolution.mailboxes->size());  // the message has views of them
  Resolved message{.id = id};
  std::size_t size = kPayloadRest;
  for (const ResolvedMailbox& mailbox : *resolution.mailboxes) {
    sealed.push_back(tickets_.issue(mailbox, now));
    const std::size_t takes =
        2 * sizeof(std::uint32_t) + sealed.back().size() + mailbox.delivered_to.size();
    if (size + takes > Channel::kMaxPayload) {
      message.goes_on = true;
      channel_.send(message);
      message = Resolved{.id = id};
      size = kPayloadRest;
    }
    size += takes;
    message.targets.push_back({sealed.back(), mailbox.delivered_to});
  }
  channel_.send(message);
}

void FrontendLink::refuse(std::uint64_t id, const Error& error) {
  const std::string text = escaped(error.text, kLongestRefusal);
  channel_.send(Resolved{.id = id, .targets = {}, .reason = error.reason, .text = text});
}

}  // namespace lmtpd::lookup
