#include "lmtpd/frontend/owner_lane.h"

#include <utility>

#include "lmtpd/base/log.h"
#include "lmtpd/frontend/spool.h"

namespace lmtpd::frontend {
namespace {

// What a copy takes in a Deliver message, beside its strings.
constexpr std::size_t kDeliveryOverhead = 32;

const Error kStandsStill{Reason::io, "the delivery process has stopped answering"};

}  // namespace

OwnerLane::OwnerLane(event_base* base, MailboxOwner owner, Messages& messages, Workers& workers)
    : base_(base),
      owner_(owner),
      messages_(messages),
      workers_(workers),
      refuse_(event_new(base, -1, 0, on_refuse, this)) {}

// ---- to the worker

bool OwnerLane::add(MessageId message, std::size_t copy, session::Copy what,
                    Clock::time_point now) {
  const bool is_first = ++unanswered_[message] == 1;
  if (is_first) octets_ += messages_.body_of(message).size();
  octets_ += Spool::kCopy;
  if (!owes()) heard_ = now;
  waiting_.push_back({message, copy, std::move(what), now + kDeadline});
  return is_first;
}

void OwnerLane::pump() {
  if (waiting_.empty()) return;
  if (stands_still_) {
    event_active(refuse_.get(), EV_TIMEOUT, 1);
  } else if (stage_ == Stage::open) {
    while (!waiting_.empty() && send_front()) {
    }
  } else if (stage_ == Stage::none) {
    // Where lookup is away, expire() tries again: within a second, and until the deadline.
    if (workers_.want_worker(waiting_.front().what.ticket)) stage_ = Stage::wanted;
  }
}

// Sends the message that stands first, with those of its copies that follow and fit. False: the
// window or the channel is full.
bool OwnerLane::send_front() {
  const MessageId id = waiting_.front().message;
  const Body& body = messages_.body_of(id);
  std::vector<UniqueFd> descriptors;
  if (sent_.size() >= kDeliveryWindow) return false;
  if (channel_->unsent_packets() >= kMostUnsentPackets) return false;
  if (!body.is_inline()) {
    if (files_.size() >= kDescriptorWindow) return false;
    descriptors.push_back(body.duplicate_file());
    if (!descriptors.back()) return false;  // EMFILE: others are about to be done with theirs
  }

  Deliver message;
  message.body = body.inline_octets();
  message.body_size = body.size();
  message.alone = messages_.is_alone(id);
  std::size_t size = message.body.size();
  std::vector<Waiting> taken;
  while (!waiting_.empty() && waiting_.front().message == id &&
         sent_.size() + taken.size() < kDeliveryWindow) {
    const session::Copy& copy = waiting_.front().what;
    size += copy.ticket.size() + copy.headers.size() + kDeliveryOverhead;
    if (!taken.empty() && size > Channel::kMaxPayload - kDeliveryOverhead) break;
    taken.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  const DeliveryId file = descriptors.empty() ? 0 : next_delivery_;
  if (file != 0) files_.emplace(file, taken.size());
  if (sent_.empty()) heard_ = Clock::now();
  for (const Waiting& copy : taken) {
    const DeliveryId delivery = next_delivery_++;
    message.deliveries.push_back(
        {delivery, copy.what.ticket, copy.what.headers, copy.what.wire_size});
    sent_.emplace(delivery, Sent{copy.message, copy.copy, copy.deadline, file});
  }
  channel_->send(message, std::move(descriptors));
  return true;
}

// ---- from the worker

void OwnerLane::on_packet(EventChannel& channel, Packet& packet) {
  for (const Frame& frame : packet.frames()) {
    if (on_frame(frame)) continue;
    log_error("worker of uid {} gid {} broke the rules of its channel (message of type {}): ended",
              owner_.uid.value(), owner_.gid.value(), frame.type);
    workers_.expel_worker(owner_);
    channel.close();
    return;
  }
  if (stage_ == Stage::going_over && sent_.empty()) return channel.close();
  pump();
}

bool OwnerLane::on_frame(const Frame& frame) {
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::outcome: {
      const std::optional<Outcome> outcome = decode<Outcome>(frame.payload);
      return outcome && on_outcome(*outcome);
    }
    case MessageType::leaving:
      if (!decode<Leaving>(frame.payload) || stage_ == Stage::leaving) return false;
      if (stage_ == Stage::going_over) return true;  // it is closed when all is answered
      stage_ = Stage::leaving;
      heard_ = Clock::now();
      channel_->send(Left{});
      return true;
    default:
      return false;
  }
}

bool OwnerLane::on_outcome(const Outcome& outcome) {
  const auto found = sent_.find(outcome.id);
  if (found == sent_.end()) return false;
  const Sent sent = found->second;
  sent_.erase(found);
  if (sent.file != 0 && --files_.at(sent.file) == 0) files_.erase(sent.file);
  heard_ = Clock::now();
  stands_still_ = false;
  if (!sent.expired) {
    done(sent.message, sent.copy,
         outcome.stored ? Result<void>() : fail(outcome.reason, std::string(outcome.text)));
  } else if (outcome.stored) {
    log_warning("worker of uid {} stored a message after its deadline: probably a duplicate",
                owner_.uid.value());
  }
  return true;
}

void OwnerLane::on_closed(EventChannel&) {
  const std::unique_ptr<EventChannel> closed = std::move(channel_);
  const std::map<DeliveryId, Sent> lost = std::exchange(sent_, {});
  files_.clear();
  stands_still_ = false;
  stage_ = Stage::none;
  if (next_) {
    open(std::move(next_));
  } else {
    pump();
  }
  for (const auto& [id, sent] : lost) {
    if (sent.expired) continue;
    done(sent.message, sent.copy, fail(Reason::io, "delivery process ended before it answered"));
  }
}

// ---- the worker comes and goes

void OwnerLane::introduce(UniqueFd socket) {
  if (!channel_) return open(std::move(socket));
  next_ = std::move(socket);
  stage_ = Stage::going_over;
  if (sent_.empty()) channel_->close();
}

void OwnerLane::open(UniqueFd socket) {
  stage_ = Stage::open;
  channel_ = std::make_unique<EventChannel>(base_, Channel(std::move(socket)), *this);
  pump();
}

void OwnerLane::refuse(const Error& error) {
  forget_wanted();
  fail_waiting(error);
}

void OwnerLane::forget_wanted() {
  if (stage_ == Stage::wanted) stage_ = Stage::none;
}

// ---- time

void OwnerLane::expire(Clock::time_point now, bool gives_way) {
  // One that says something is only slow.
  const std::chrono::seconds silence = gives_way ? Spool::kPatience : kDeadline;
  if (owes() && !stands_still_ && now >= heard_ + silence) expel(silence);
  for (auto& [id, sent] : sent_) {
    if (now < sent.deadline) break;
    if (std::exchange(sent.expired, true)) continue;
    workers_.count(Counter::delivery_timeouts);
    done(sent.message, sent.copy, fail(Reason::io, "delivery was not confirmed in time"));
  }
  while (!waiting_.empty() && now >= waiting_.front().deadline) {
    const Waiting copy = std::move(waiting_.front());
    waiting_.pop_front();
    forget_wanted();
    workers_.count(Counter::delivery_timeouts);
    done(copy.message, copy.copy, fail(Reason::overload, "no delivery process was free in time"));
  }
  pump();
}

// Where it hangs in the kernel it does not end yet, and its channel neither.
void OwnerLane::expel(std::chrono::seconds silence) {
  stands_still_ = true;
  log_error("worker of uid {} gid {} has said nothing for {} s: ended", owner_.uid.value(),
            owner_.gid.value(), silence.count());
  workers_.expel_worker(owner_);
  refuse_waiting();
  for (auto& [id, sent] : sent_) {
    if (std::exchange(sent.expired, true)) continue;
    workers_.count(Counter::delivery_timeouts);
    done(sent.message, sent.copy, tl::unexpected(kStandsStill));
  }
}

void OwnerLane::on_refuse(evutil_socket_t, short, void* self) noexcept {
  auto& lane = *static_cast<OwnerLane*>(self);
  if (lane.stands_still_) lane.refuse_waiting();
}

// ---- outcomes

void OwnerLane::refuse_waiting() {
  for (std::size_t i = 0; i < waiting_.size(); ++i) workers_.count(Counter::owner_deferrals);
  fail_waiting(kStandsStill);
}

void OwnerLane::fail_waiting(const Error& error) {
  for (const Waiting& copy : std::exchange(waiting_, {})) {
    done(copy.message, copy.copy, tl::unexpected<Error>(error));
  }
}

void OwnerLane::done(MessageId message, std::size_t copy, Result<void> outcome) {
  octets_ -= Spool::kCopy;
  const auto found = unanswered_.find(message);
  if (--found->second == 0) {
    octets_ -= messages_.body_of(message).size();
    unanswered_.erase(found);
  }
  messages_.answer(message, copy, std::move(outcome));
}

}  // namespace lmtpd::frontend
