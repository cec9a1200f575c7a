// lmtpd/frontend/spool.h -- the bound on the memory that unfinished messages hold.
//
// Each frontend has an equal share of spool_limit. Octets are booked before they are asked for: the
// declared SIZE, or else the first 64 KiB, before 354 or before a BDAT's chunk, which may be
// larger, is read, and with them what the message's copies will take: a small one to a thousand
// mailboxes is mostly that. Growing beyond may wait. One message can always finish: a part of the
// share is kept back for the oldest booking, and only the oldest, once it has room for its first
// octets, waits without a time limit, while all others give up and free what they hold.
//
// Nobody keeps room from others by being slow, or by declaring much: where room is short, what a
// message has booked for a moment and not used is taken back, and it books again as its octets
// come. A small message passes those that wait for much and have not begun. Only the oldest does
// not wait for all that it declared, which may be more than ever comes free so: it begins once
// there is room for its copies, as one does that declares nothing.
//
// Nor by having much. An equal part of what is not kept back is due to each client that has or
// wants room: a wish that leads beyond it gets nothing while one within its client's part waits,
// but for the oldest booking; and where a client within its part, or the oldest booking, has waited
// for kPatience, messages of those beyond theirs that have not grown by kLeastGrowth in as long are
// given up for it, waiting or not, but for the oldest booking while it waits. A client alone is due
// all.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "lmtpd/base/ticket.h"
#include "lmtpd/frontend/message_name.h"

namespace lmtpd::frontend {

class Spool {
 public:
  // Who waits is told, once, from run_waiting() or expire(): never from within a call of its own.
  class Waiter {
   public:
    virtual void on_booked(const MessageName& id) = 0;
    virtual void on_booking_refused(const MessageName& id) = 0;
    // What `id` has is wanted for another client: release() it. From expire().
    virtual void on_booking_lost(const MessageName& id) = 0;
    // Called from within book(), run_waiting() and expire(): what `id` has booked, or waits for,
    // and not used, which it has no more from here on, in octets.
    virtual std::uint64_t on_reclaim(const MessageName& id) = 0;

   protected:
    ~Waiter() = default;
  };

  // `largest`: the largest message that is taken, in octets, with its copies.
  Spool(std::uint64_t share, std::uint64_t largest, Waiter& waiter);

  // Adds `octets` to what `id`, a message of `client`'s, has booked, opening the booking where
  // there is none. True: booked. False: the waiter is told later; until then `id` books nothing
  // more.
  [[nodiscard]] bool book(const MessageName& id, const std::string& client, std::uint64_t octets,
                          Clock::time_point now);
  // The message of `id` is complete: it books nothing more, and keeps, until release(), what it has
  // of these octets.
  void finish(const MessageName& id, std::uint64_t octets);
  // Frees all of `id`'s octets and forgets it, waiting or not.
  void release(const MessageName& id);

  // Books for those who wait, in the order of their age, as far as octets are free.
  void run_waiting(Clock::time_point now);
  // Takes unused room back, and that of others' messages, and books it for those who wait, as far
  // as it goes. Refuses those whose 60 s have passed, save for the oldest booking where it grows.
  void expire(Clock::time_point now);
  [[nodiscard]] bool anyone_waits() const { return waiting_ > 0; }

  [[nodiscard]] std::uint64_t booked() const { return booked_; }
  // What is not kept back.
  [[nodiscard]] std::uint64_t room() const { return share_ - kept_back_; }

  static constexpr std::chrono::seconds kWait{60};
  static constexpr std::chrono::seconds kPatience{10};
  // Octets of a copy, whose body is the message's: its ticket, its headers, what is known of its
  // recipient. Addresses of the longest kind take twice that, most take half.
  static constexpr std::uint64_t kCopy = 2048;
  // By that part of itself a message grows in kPatience, or it stands still.
  static constexpr std::uint64_t kLeastGrowth = 64;
  // So long a booking is its message's, used or not: for its client to see the 354 and send.
  static constexpr std::chrono::milliseconds kUse{250};
  // What passes. Where no SIZE was declared, a message begins with half of it.
  static constexpr std::uint64_t kSmall = 128 * 1024;

 private:
  struct Client {
    std::uint64_t octets = 0;
    std::size_t bookings = 0;  // never 0
  };
  using Clients = std::unordered_map<std::string, Client>;
  struct Booking {
    MessageName id;
    Clients::pointer client;
    std::uint64_t octets = 0;
    std::uint64_t wanted = 0;  // waits for these, where not 0
    Clock::time_point give_up{};
    Clock::time_point booked_at{};  // the last of `octets`
    std::uint64_t grown_to = 0;     // octets, used, when it had last grown by kLeastGrowth
    Clock::time_point grown_at{};   // when that was, or when its last wait ended
    bool finished = false;

    // Small messages may go before it.
    [[nodiscard]] bool lets_pass() const { return octets == 0 && wanted > kSmall; }
  };
  using Bookings = std::list<Booking>;
  [[nodiscard]] bool is_oldest(const Booking& booking) const;
  // It has begun, and waits for more.
  [[nodiscard]] bool is_oldest_that_waits(const Booking& booking) const;
  // Octets that all may have together once it has what it wants.
  [[nodiscard]] std::uint64_t room_for(const Booking& booking) const;
  // `octets` more for it, where `booked` are booked in all.
  [[nodiscard]] bool fits(const Booking& booking, std::uint64_t octets, std::uint64_t booked) const;
  [[nodiscard]] bool may_have(const Booking& booking, std::uint64_t octets) const;
  void add(Booking& booking, std::uint64_t octets, Clock::time_point now);
  void wait(Booking& booking, std::uint64_t octets, Clock::time_point now);
  void want_only_to_begin(Booking& booking);
  void end_wait(Booking& booking);
  void reclaim(const Booking* asking, Clock::time_point now);
  void give_back(Booking& booking, std::uint64_t octets);
  [[nodiscard]] bool is_beyond_a_part(std::uint64_t octets) const;
  [[nodiscard]] bool gives_way(const Booking& booking) const;
  // False: somebody still waits who need not give way.
  bool serve(bool only_who_need_not, std::vector<MessageName>& booked, Clock::time_point now);
  void give_up_for_others(Clock::time_point now);

  void tell(const std::vector<MessageName>& ids, void (Waiter::*what)(const MessageName&));

  std::uint64_t share_;
  std::uint64_t kept_back_;
  Waiter& waiter_;
  Bookings unfinished_;  // the oldest first
  Bookings finished_;
  std::map<MessageName, Bookings::iterator> by_id_;
  Clients clients_;
  std::uint64_t booked_ = 0;
  std::size_t waiting_ = 0;
  std::size_t letting_pass_ = 0;  // of those who wait
  Clock::time_point reclaimed_at_{};
};

}  // namespace lmtpd::frontend
