#include "lmtpd/frontend/spool.h"

#include <algorithm>

namespace lmtpd::frontend {

Spool::Spool(std::uint64_t share, std::uint64_t largest, Waiter& waiter)
    : share_(share), kept_back_(std::min(largest, share / 2)), waiter_(waiter) {}

bool Spool::fits(const Booking& booking, std::uint64_t octets) const {
  // The largest body is as large as the share, and has copies.
  if (booked_ == booking.octets) return true;
  const bool oldest = &booking == &unfinished_.front();
  return booked_ + octets <= (oldest ? share_ : share_ - kept_back_);
}

bool Spool::book(const MessageName& id, std::uint64_t octets, Clock::time_point now) {
  auto found = by_id_.find(id);
  if (found == by_id_.end()) {
    unfinished_.push_back({id});
    found = by_id_.emplace(id, std::prev(unfinished_.end())).first;
  }
  Booking& booking = *found->second;
  // Whoever came first is served first, unless it is the oldest itself that asks.
  if (fits(booking, octets) && (waiting_ == 0 || &booking == &unfinished_.front())) {
    booking.octets += octets;
    booked_ += octets;
    return true;
  }
  booking.wanted = octets;
  booking.give_up = now + kWait;
  ++waiting_;
  return false;
}

void Spool::finish(const MessageName& id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  found->second->finished = true;
  finished_.splice(finished_.end(), unfinished_, found->second);
}

void Spool::release(const MessageName& id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  booked_ -= found->second->octets;
  if (found->second->wanted > 0) --waiting_;
  (found->second->finished ? finished_ : unfinished_).erase(found->second);
  by_id_.erase(found);
}

void Spool::run_waiting() {
  std::vector<MessageName> booked;
  for (Booking& booking : unfinished_) {
    if (waiting_ == 0) break;
    if (booking.wanted == 0) continue;
    if (!fits(booking, booking.wanted)) break;
    booking.octets += booking.wanted;
    booked_ += booking.wanted;
    booking.wanted = 0;
    --waiting_;
    booked.push_back(booking.id);
  }
  tell(booked, &Waiter::on_booked);
}

void Spool::expire(Clock::time_point now) {
  std::vector<MessageName> refused;
  for (Booking& booking : unfinished_) {
    if (waiting_ == 0) break;
    if (booking.wanted == 0 || now < booking.give_up) continue;
    // What has begun to come in and is the oldest is what all others make room for.
    if (booking.octets > 0 && &booking == &unfinished_.front()) continue;
    booking.wanted = 0;
    --waiting_;
    refused.push_back(booking.id);
  }
  tell(refused, &Waiter::on_booking_refused);
}

void Spool::tell(const std::vector<MessageName>& ids, void (Waiter::*what)(const MessageName&)) {
  for (const MessageName& id : ids) {
    if (by_id_.contains(id)) (waiter_.*what)(id);  // an earlier one may have released it
  }
}

}  // namespace lmtpd::frontend
