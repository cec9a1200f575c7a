#include "lmtpd/frontend/deliveries.h"

#include <algorithm>
#include <utility>

namespace lmtpd::frontend {
namespace {

// Of many owners few get much at a time, and those want more than an equal part.
constexpr std::size_t kMostParts = 4;

}  // namespace

Deliveries::Deliveries(event_base* base, Sender& sender, std::uint64_t room)
    : base_(base), sender_(sender), room_(room) {}

void Deliveries::start(const MessageName& name, Body body, std::vector<session::Copy> copies) {
  const MessageId id = next_message_++;
  messages_.emplace(id, Message{name, std::move(body), copies.size()});
  const Clock::time_point now = Clock::now();
  std::vector<OwnerLane*> lanes;
  for (std::size_t i = 0; i < copies.size(); ++i) {
    // Tickets come from lookup, and LookupLink has read each once.
    OwnerLane& lane = lane_of(read_ticket_owner(copies[i].ticket));
    if (lane.add(id, i, std::move(copies[i]), now)) lanes.push_back(&lane);
  }
  // Last: the body leaves once for all of an owner's copies, whatever the order of the recipients.
  for (OwnerLane* lane : lanes) lane->pump();
}

OwnerLane& Deliveries::lane_of(MailboxOwner owner) {
  return lanes_.try_emplace(owner, base_, owner, *this, sender_).first->second;
}

void Deliveries::introduce(MailboxOwner owner, UniqueFd socket) {
  lane_of(owner).introduce(std::move(socket));
}

void Deliveries::refuse(MailboxOwner owner, const Error& error) {
  const auto found = lanes_.find(owner);
  if (found != lanes_.end()) found->second.refuse(error);
}

void Deliveries::forget_wanted() {
  for (auto& [owner, lane] : lanes_) lane.forget_wanted();
}

void Deliveries::expire(Clock::time_point now, bool room_is_short) {
  for (auto& [owner, lane] : lanes_) lane.expire(now, room_is_short && has_too_much(lane));
  // A site may have a million of them.
  std::erase_if(lanes_, [](const auto& item) { return item.second.is_idle(); });
}

bool Deliveries::has_too_much(const OwnerLane& lane) const {
  const std::size_t parts = std::min(lanes_.size(), kMostParts);
  return parts > 1 && lane.octets() > room_ / parts;
}

const Body& Deliveries::body_of(MessageId message) const { return messages_.at(message).body; }

bool Deliveries::is_alone(MessageId message) const {
  return messages_.size() == 1 && messages_.at(message).unanswered == 1;
}

void Deliveries::answer(MessageId message, std::size_t copy, Result<void> outcome) {
  Message& found = messages_.at(message);
  const MessageName name = found.name;
  const bool last = --found.unanswered == 0;
  if (last) messages_.erase(message);
  sender_.on_copy_done(name, copy, std::move(outcome));
  if (last) sender_.on_message_done(name);
}

}  // namespace lmtpd::frontend
