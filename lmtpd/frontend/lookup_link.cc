#include "lmtpd/frontend/lookup_link.h"

#include <utility>

#include "lmtpd/base/log.h"

namespace lmtpd::frontend {

LookupLink::LookupLink(event_base* base, Asker& asker) : base_(base), asker_(asker), auth_(asker) {}

void LookupLink::connect(UniqueFd socket) {
  if (channel_) on_closed(*channel_);
  channel_ = std::make_unique<EventChannel>(base_, Channel(std::move(socket)), *this);
  lost_ = false;
  send_waiting();
}

void LookupLink::resolve(std::uint64_t connection, std::uint64_t request, const std::string& client,
                         std::string address) {
  Question question{connection, request, Clock::now() + kDeadline, std::move(address)};
  if (channel_ && waiting_.empty() && sent_.size() < kResolveWindow) {
    send(question);
  } else {
    waiting_.push(client, std::move(question));
  }
}

void LookupLink::send(const Question& question) {
  const std::uint64_t id = next_id_++;
  channel_->send(Resolve{id, question.address});
  sent_.emplace(id, Sent{question.connection, question.request, question.deadline});
}

void LookupLink::send_waiting() {
  while (!waiting_.empty() && sent_.size() < kResolveWindow) send(waiting_.pop());
}

bool LookupLink::want_worker(std::string_view ticket) {
  if (channel_) channel_->send(WantWorker{ticket});
  return channel_ != nullptr;
}

void LookupLink::on_packet(EventChannel& channel, Packet& packet) {
  for (const Frame& frame : packet.frames()) {
    const bool expected = static_cast<MessageType>(frame.type) == MessageType::resolved
                              ? take_resolved(frame)
                              : auth_.take(frame);
    if (expected) continue;
    log_error("lookup sent a message of type {} that was not asked for", frame.type);
    channel.close();
    return;
  }
  send_waiting();
}

bool LookupLink::take_resolved(const Frame& frame) {
  const std::optional<Resolved> message = decode<Resolved>(frame.payload);
  const auto found = message ? sent_.find(message->id) : sent_.end();
  if (found == sent_.end()) return false;
  Result<void> added;
  if (!found->second.answered) added = add_mailboxes(found->second, *message);
  if (added && message->goes_on) return true;
  // An answer may bring the next question, for which there is room then.
  Sent sent = std::move(found->second);
  if (message->goes_on) {
    found->second.answered = true;
  } else {
    sent_.erase(found);
  }
  if (sent.answered) return true;
  if (added) {
    asker_.on_resolved(sent.connection, sent.request, std::move(sent.mailboxes));
  } else {
    asker_.on_resolved(sent.connection, sent.request, tl::unexpected(std::move(added.error())));
  }
  return true;
}

Result<void> LookupLink::add_mailboxes(Sent& sent, const Resolved& message) {
  if (message.targets.empty()) return fail(message.reason, std::string(message.text));
  for (const Target& target : message.targets) {
    const std::optional<Ticket> ticket = read_ticket(target.ticket);
    if (!ticket) return fail(Reason::lookup_failed, "lookup made a malformed ticket");
    sent.mailboxes.push_back(
        {std::string(target.ticket), ticket->path.value(), std::string(target.delivered_to)});
  }
  return {};
}

void LookupLink::on_closed(EventChannel&) {
  const std::unique_ptr<EventChannel> closed = std::move(channel_);
  lost_ = true;
  std::unordered_map<std::uint64_t, Sent> lost = std::exchange(sent_, {});
  std::erase_if(lost, [](const auto& sent) { return sent.second.answered; });
  log_warning("lost the channel to lookup; {} recipients under way are deferred", lost.size());
  for (const auto& [id, sent] : lost) {
    asker_.on_resolved(sent.connection, sent.request,
                       fail(Reason::lookup_failed, "lookup process is not available"));
  }
  auth_.on_channel_lost();
  asker_.on_lookup_lost();
}

void LookupLink::expire(Clock::time_point now) {
  auth_.expire(channel_.get(), now);
  // Without a channel nothing is worth waiting for: lookup is being restarted, and 451 is soon
  // over. Answers may bring questions, so that nothing is walked meanwhile.
  std::vector<Question> due = waiting_.take_due(channel_ ? now : Clock::time_point::max());
  for (auto& [id, sent] : sent_) {
    if (sent.answered || now < sent.deadline) continue;
    sent.answered = true;
    sent.mailboxes.clear();
    due.push_back({sent.connection, sent.request, sent.deadline, {}});
  }
  const Error late{Reason::lookup_failed,
                   channel_ ? "lookup did not answer in time" : "lookup process is not available"};
  for (const Question& question : due) {
    if (channel_) asker_.count(Counter::lookup_timeouts);
    asker_.on_resolved(question.connection, question.request, tl::unexpected<Error>(late));
  }
}

}  // namespace lmtpd::frontend
