#include "lmtpd/frontend/lookup_link.h"

#include <utility>

#include "lmtpd/base/log.h"

namespace lmtpd::frontend {

LookupLink::LookupLink(event_base* base, Asker& asker) : base_(base), asker_(asker), auth_(asker) {}

void LookupLink::connect(UniqueFd socket) {
  if (channel_) on_closed(*channel_);
  const bool was_full = full();
  channel_ = std::make_unique<EventChannel>(base_, Channel(std::move(socket)), *this);
  send_queued();
  tell_window(was_full);
}

void LookupLink::resolve(std::uint64_t connection, std::uint64_t request, std::string address) {
  queued_.push_back({connection, request, Clock::now() + kDeadline, std::move(address)});
  if (channel_) send_queued();
}

void LookupLink::send_queued() {
  while (!queued_.empty() && sent_.size() < kResolveWindow) {
    Request request = std::move(queued_.front());
    queued_.pop_front();
    const std::uint64_t id = next_id_++;
    channel_->send(Resolve{id, request.address});
    request.address = std::string();
    sent_.emplace(id, std::move(request));
    sent_order_.push_back(id);
  }
}

bool LookupLink::want_worker(std::string_view ticket) {
  if (channel_) channel_->send(WantWorker{ticket});
  return channel_ != nullptr;
}

void LookupLink::on_packet(EventChannel& channel, Packet& packet) {
  const bool was_full = full();
  for (const Frame& frame : packet.frames()) {
    const bool expected = static_cast<MessageType>(frame.type) == MessageType::resolved
                              ? take_resolved(frame)
                              : auth_.take(frame);
    if (expected) continue;
    log_error("lookup sent a message of type {} that was not asked for", frame.type);
    channel.close();
    return;
  }
  if (channel_) send_queued();
  tell_window(was_full);
}

bool LookupLink::take_resolved(const Frame& frame) {
  const std::optional<Resolved> message = decode<Resolved>(frame.payload);
  if (!message) return false;
  const auto found = sent_.find(message->id);
  // A late answer is no fault: its request was answered at the deadline, and ids are not used
  // again.
  if (found == sent_.end()) return message->id < next_id_;
  std::optional<Error> failure;
  if (message->targets.empty()) failure = Error{message->reason, std::string(message->text)};
  for (const Target& target : message->targets) {
    const std::optional<Ticket> ticket = read_ticket(target.ticket);
    if (!ticket) {
      failure = Error{Reason::lookup_failed, "lookup made a malformed ticket"};
      break;
    }
    found->second.mailboxes.push_back(
        {std::string(target.ticket), ticket->path.value(), std::string(target.delivered_to)});
  }
  if (!failure && message->goes_on) return true;
  Request request = std::move(found->second);
  sent_.erase(found);
  if (failure) {
    answer(request, tl::unexpected(*std::move(failure)));
  } else {
    answer(request, std::move(request.mailboxes));
  }
  return true;
}

void LookupLink::on_closed(EventChannel&) {
  const bool was_full = full();
  const std::unique_ptr<EventChannel> closed = std::move(channel_);
  log_warning("lost the channel to lookup; {} recipients under way are deferred", sent_.size());
  sent_order_.clear();
  for (const auto& [id, request] : std::exchange(sent_, {})) {
    answer(request, fail(Reason::lookup_failed, "lookup process is not available"));
  }
  auth_.on_channel_lost();
  asker_.on_lookup_lost();
  tell_window(was_full);
}

void LookupLink::expire(Clock::time_point now) {
  auth_.expire(now);
  const bool was_full = full();
  const Error late{Reason::lookup_failed, "lookup did not answer in time"};
  while (!sent_order_.empty()) {
    const auto found = sent_.find(sent_order_.front());
    if (found != sent_.end()) {
      if (now < found->second.deadline) break;
      const Request request = std::move(found->second);
      sent_.erase(found);
      asker_.count(Counter::lookup_timeouts);
      answer(request, tl::unexpected<Error>(late));
    }
    sent_order_.pop_front();
  }
  // Without a channel nothing is worth waiting for: lookup is being restarted, and 451 is soon
  // over.
  while (!queued_.empty() && (!channel_ || now >= queued_.front().deadline)) {
    const Request request = std::move(queued_.front());
    queued_.pop_front();
    answer(request, tl::unexpected<Error>(late));
  }
  tell_window(was_full);
}

void LookupLink::tell_window(bool was_full) {
  if (was_full && !full()) asker_.on_lookup_window();
}

void LookupLink::answer(const Request& request, Result<std::vector<session::Mailbox>> mailboxes) {
  asker_.on_resolved(request.connection, request.request, std::move(mailboxes));
}

}  // namespace lmtpd::frontend
