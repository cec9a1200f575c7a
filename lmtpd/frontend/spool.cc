#include "lmtpd/frontend/spool.h"

#include <algorithm>

namespace lmtpd::frontend {
namespace {

// It looks at every booking.
constexpr std::chrono::milliseconds kBetweenReclaims{100};

}  // namespace

Spool::Spool(std::uint64_t share, std::uint64_t largest, Waiter& waiter)
    : share_(share), kept_back_(std::min(largest, share / 2)), waiter_(waiter) {}

bool Spool::fits(const Booking& booking, std::uint64_t octets) const {
  // The largest body is as large as the share, and has copies.
  if (booked_ == booking.octets) return true;
  const bool oldest = &booking == &unfinished_.front();
  return booked_ + octets <= (oldest ? share_ : share_ - kept_back_);
}

// Whoever came first is served first, unless it is the oldest itself that asks, or asks for little.
bool Spool::may_have(const Booking& booking, std::uint64_t octets) const {
  const bool has_turn = waiting_ == 0 || &booking == &unfinished_.front() ||
                        (octets <= kSmall && waiting_ == letting_pass_);
  return has_turn && fits(booking, octets);
}

void Spool::add(Booking& booking, std::uint64_t octets, Clock::time_point now) {
  booking.octets += octets;
  booking.booked_at = now;
  booked_ += octets;
}

void Spool::wait(Booking& booking, std::uint64_t octets, Clock::time_point now) {
  booking.wanted = octets;
  booking.give_up = now + kWait;
  ++waiting_;
  if (booking.lets_pass()) ++letting_pass_;
}

void Spool::end_wait(Booking& booking) {
  if (booking.wanted == 0) return;
  --waiting_;
  if (booking.lets_pass()) --letting_pass_;
  booking.wanted = 0;
}

// Who waits uses all that it has.
void Spool::reclaim(const Booking* asking, Clock::time_point now) {
  if (now < reclaimed_at_ + kBetweenReclaims) return;
  reclaimed_at_ = now;
  for (Booking& booking : unfinished_) {
    if (&booking == asking || booking.wanted > 0 || booking.octets == 0) continue;
    if (now < booking.booked_at + kUse) continue;
    const std::uint64_t unused = std::min(booking.octets, waiter_.on_reclaim(booking.id));
    booking.octets -= unused;
    booked_ -= unused;
  }
}

bool Spool::book(const MessageName& id, std::uint64_t octets, Clock::time_point now) {
  auto found = by_id_.find(id);
  if (found == by_id_.end()) {
    unfinished_.push_back({id});
    found = by_id_.emplace(id, std::prev(unfinished_.end())).first;
  }
  Booking& booking = *found->second;
  if (!may_have(booking, octets)) reclaim(&booking, now);
  if (may_have(booking, octets)) {
    add(booking, octets, now);
    return true;
  }
  wait(booking, octets, now);
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
  end_wait(*found->second);
  booked_ -= found->second->octets;
  (found->second->finished ? finished_ : unfinished_).erase(found->second);
  by_id_.erase(found);
}

void Spool::run_waiting(Clock::time_point now) {
  std::vector<MessageName> booked;
  bool only_small = false;
  for (Booking& booking : unfinished_) {
    if (waiting_ == 0) break;
    if (booking.wanted == 0) continue;
    if (only_small && booking.wanted > kSmall) continue;
    if (!fits(booking, booking.wanted)) {
      if (!booking.lets_pass()) break;
      only_small = true;
      continue;
    }
    const std::uint64_t octets = booking.wanted;
    end_wait(booking);
    add(booking, octets, now);
    booked.push_back(booking.id);
  }
  tell(booked, &Waiter::on_booked);
}

void Spool::expire(Clock::time_point now) {
  if (waiting_ > 0) {
    reclaim(nullptr, now);
    run_waiting(now);
  }
  std::vector<MessageName> refused;
  for (Booking& booking : unfinished_) {
    if (waiting_ == 0) break;
    if (booking.wanted == 0 || now < booking.give_up) continue;
    // What has begun to come in and is the oldest is what all others make room for.
    if (booking.octets > 0 && &booking == &unfinished_.front()) continue;
    end_wait(booking);
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
