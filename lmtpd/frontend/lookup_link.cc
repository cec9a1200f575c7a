#include "lmtpd/frontend/lookup_link.h"

#include <algorithm>
#include <utility>

#include "lmtpd/base/log.h"

namespace lmtpd::frontend {

LookupLink::LookupLink(event_base* base, Asker& asker) : base_(base), asker_(asker), auth_(asker) {}

void LookupLink::connect(UniqueFd socket) {
  if (channel_) on_closed(*channel_);
  const bool was_full = full();
  channel_ = std::make_unique<EventChannel>(base_, Channel(std::move(socket)), *this);
  lost_ = false;
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
  const auto found = message ? sent_.find(message->id) : sent_.end();
  if (found == sent_.end()) return false;
  Result<void> added;
  if (!found->second.answered) added = add_mailboxes(found->second, *message);
  if (added && message->goes_on) return true;
  // An answer may bring the next request, for which there is room then.
  Request request = std::move(found->second);
  if (message->goes_on) {
    found->second.answered = true;
  } else {
    sent_.erase(found);
  }
  if (request.answered) return true;
  if (added) {
    answer(request, std::move(request.mailboxes));
  } else {
    answer(request, tl::unexpected(std::move(added.error())));
  }
  return true;
}

Result<void> LookupLink::add_mailboxes(Request& request, const Resolved& message) {
  if (message.targets.empty()) return fail(message.reason, std::string(message.text));
  for (const Target& target : message.targets) {
    const std::optional<Ticket> ticket = read_ticket(target.ticket);
    if (!ticket) return fail(Reason::lookup_failed, "lookup made a malformed ticket");
    request.mailboxes.push_back(
        {std::string(target.ticket), ticket->path.value(), std::string(target.delivered_to)});
  }
  return {};
}

void LookupLink::on_closed(EventChannel&) {
  const bool was_full = full();
  const std::unique_ptr<EventChannel> closed = std::move(channel_);
  lost_ = true;
  log_warning(
      "lost the channel to lookup; {} recipients under way are deferred",
      std::ranges::count(sent_, false, [](const auto& sent) { return sent.second.answered; }));
  for (const auto& [id, request] : std::exchange(sent_, {})) {
    if (!request.answered)
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
  std::vector<Request> due;  // whose answers may bring requests, while nothing is walked
  for (auto& [id, request] : sent_) {
    if (request.answered || now < request.deadline) continue;
    request.answered = true;
    request.mailboxes.clear();
    due.push_back(request);
  }
  for (const Request& request : due) {
    asker_.count(Counter::lookup_timeouts);
    answer(request, tl::unexpected<Error>(late));
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
