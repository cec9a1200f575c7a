#include "lmtpd/frontend/spool.h"

#include <algorithm>

namespace lmtpd::frontend {
namespace {

// It looks at every booking.
constexpr std::chrono::milliseconds kBetweenReclaims{100};

}  // namespace

Spool::Spool(std::uint64_t share, std::uint64_t largest, Waiter& waiter)
    : share_(share), kept_back_(std::min(largest, share / 2)), waiter_(waiter) {}

bool Spool::is_oldest(const Booking& booking) const { return &booking == &unfinished_.front(); }

bool Spool::is_oldest_that_waits(const Booking& booking) const {
  return is_oldest(booking) && booking.octets > 0 && booking.wanted > 0;
}

std::uint64_t Spool::room_for(const Booking& booking) const {
  return is_oldest(booking) ? share_ : room();
}

bool Spool::fits(const Booking& booking, std::uint64_t octets, std::uint64_t booked) const {
  // The largest body is as large as the share, and has copies.
  return booked == booking.octets || booked + octets <= room_for(booking);
}

// Whoever came first is served first, unless it is the oldest itself that asks, or asks for little.
bool Spool::may_have(const Booking& booking, std::uint64_t octets) const {
  const bool has_turn = waiting_ == 0 || is_oldest(booking) ||
                        (octets <= kSmall && waiting_ == letting_pass_ && !gives_way(booking));
  return has_turn && fits(booking, octets, booked_);
}

bool Spool::is_beyond_a_part(std::uint64_t octets) const {
  const std::size_t clients = clients_.size();
  return clients > 1 && octets > room() / clients;
}

bool Spool::gives_way(const Booking& booking) const {
  return !is_oldest(booking) && is_beyond_a_part(booking.client->second.octets + booking.wanted);
}

// Who asks for more has used all that it had.
void Spool::add(Booking& booking, std::uint64_t octets, Clock::time_point now) {
  if (booking.octets == 0 || booking.octets > booking.grown_to + booking.grown_to / kLeastGrowth) {
    booking.grown_to = booking.octets;
    booking.grown_at = now;
  }
  booking.octets += octets;
  booking.client->second.octets += octets;
  booking.booked_at = now;
  booked_ += octets;
}

void Spool::give_back(Booking& booking, std::uint64_t octets) {
  booking.octets -= octets;
  booking.client->second.octets -= octets;
  booked_ -= octets;
}

void Spool::wait(Booking& booking, std::uint64_t octets, Clock::time_point now) {
  booking.wanted = octets;
  booking.give_up = now + kWait;
  ++waiting_;
  if (booking.lets_pass()) ++letting_pass_;
}

// All that it declared may never be free, as long as small messages pass it. What has begun nobody
// passes.
void Spool::want_only_to_begin(Booking& booking) {
  if (booking.lets_pass()) --letting_pass_;
  booking.wanted -= std::min(booking.wanted - 1, waiter_.on_reclaim(booking.id));
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
    give_back(booking, std::min(booking.octets, waiter_.on_reclaim(booking.id)));
  }
}

bool Spool::book(const MessageName& id, const std::string& client, std::uint64_t octets,
                 Clock::time_point now) {
  auto found = by_id_.find(id);
  if (found == by_id_.end()) {
    const Clients::pointer owner = &*clients_.try_emplace(client).first;
    ++owner->second.bookings;
    unfinished_.push_back({id, owner});
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

void Spool::finish(const MessageName& id, std::uint64_t octets) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  Booking& booking = *found->second;
  booking.finished = true;
  give_back(booking, booking.octets - std::min(booking.octets, octets));
  finished_.splice(finished_.end(), unfinished_, found->second);
}

void Spool::release(const MessageName& id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  Booking& booking = *found->second;
  end_wait(booking);
  give_back(booking, booking.octets);
  if (--booking.client->second.bookings == 0) clients_.erase(clients_.find(booking.client->first));
  (booking.finished ? finished_ : unfinished_).erase(found->second);
  by_id_.erase(found);
}

void Spool::run_waiting(Clock::time_point now) {
  std::vector<MessageName> booked;
  if (serve(true, booked, now)) static_cast<void>(serve(false, booked, now));
  tell(booked, &Waiter::on_booked);
}

bool Spool::serve(bool only_who_need_not, std::vector<MessageName>& booked, Clock::time_point now) {
  bool only_small = false;
  for (Booking& booking : unfinished_) {
    if (waiting_ == 0) break;
    if (booking.wanted == 0) continue;
    if (only_who_need_not && gives_way(booking)) continue;
    if (only_small && booking.wanted > kSmall) continue;
    if (!fits(booking, booking.wanted, booked_) && is_oldest(booking) && booking.octets == 0) {
      want_only_to_begin(booking);
    }
    if (!fits(booking, booking.wanted, booked_)) {
      if (!booking.lets_pass()) return false;
      only_small = true;
      continue;
    }
    const std::uint64_t octets = booking.wanted;
    end_wait(booking);
    add(booking, octets, now);
    booking.grown_at = now;  // it could not, as long as it waited
    booked.push_back(booking.id);
  }
  return !only_small;
}

// Of clients that hang, or hold back the rest of their messages to have the room. For the oldest,
// or else for who wants least, and only if it helps.
void Spool::give_up_for_others(Clock::time_point now) {
  const Booking* waits = nullptr;
  for (const Booking& booking : unfinished_) {
    if (booking.wanted == 0 || now < booking.give_up - kWait + kPatience) continue;
    if (is_oldest_that_waits(booking)) {
      waits = &booking;
      break;
    }
    if (is_beyond_a_part(booking.client->second.octets)) continue;
    if (booking.octets + booking.wanted > room_for(booking)) continue;  // others or not
    if (waits == nullptr || booking.wanted < waits->wanted) waits = &booking;
  }
  if (waits == nullptr) return;
  std::vector<Booking*> given_up;
  std::unordered_map<const Client*, std::uint64_t> taken;
  std::uint64_t left = booked_;
  for (Booking& booking : unfinished_) {
    if (fits(*waits, waits->wanted, left)) break;
    std::uint64_t& of_client = taken[&booking.client->second];
    if (booking.octets == 0 || !is_beyond_a_part(booking.client->second.octets - of_client))
      continue;
    // Waiting for more is no excuse, since an octet on each would do for it, but for the oldest:
    // else large ones that wait for each other would be given up in turn, and none would finish.
    if (now < booking.grown_at + kPatience || is_oldest_that_waits(booking)) continue;
    left -= booking.octets;
    of_client += booking.octets;
    given_up.push_back(&booking);
  }
  if (!fits(*waits, waits->wanted, left)) return;
  std::vector<MessageName> lost;
  for (Booking* booking : given_up) {
    end_wait(*booking);  // it is told this, and nothing else
    lost.push_back(booking->id);
  }
  tell(lost, &Waiter::on_booking_lost);
}

void Spool::expire(Clock::time_point now) {
  if (waiting_ > 0) {
    reclaim(nullptr, now);
    run_waiting(now);
    give_up_for_others(now);
  }
  std::vector<MessageName> refused;
  for (Booking& booking : unfinished_) {
    if (waiting_ == 0) break;
    if (booking.wanted == 0 || now < booking.give_up) continue;
    // What has begun to come in and is the oldest is what all others make room for.
    if (is_oldest_that_waits(booking)) continue;
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
