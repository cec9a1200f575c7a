// tests/frontend/deliveries_fixture.h -- Deliveries between a sender that takes notes and two
// workers that are driven by hand.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "lmtpd/frontend/deliveries.h"
#include "tests/frontend/far_end.h"

namespace lmtpd::frontend {

inline constexpr MailboxOwner kOne{Uid(1001), Gid(1001)};
inline constexpr MailboxOwner kTwo{Uid(1002), Gid(1002)};
inline const Key kKey = make_ticket_key();
inline constexpr std::uint64_t kRoom = 1 << 20;

inline session::Copy copy_for(MailboxOwner owner, const std::string& headers = "H: x\n") {
  return {seal_ticket(
              kKey, {owner, *MailboxPath::parse("d.org/u/"), Clock::now() + std::chrono::hours(1)}),
          headers, 99};
}

class DeliveriesTest : public testing::Test, public Deliveries::Sender {
 protected:
  struct Done {
    std::uint64_t connection;
    std::size_t copy;
    Result<void> outcome;
  };
  void on_copy_done(const MessageName& message, std::size_t copy, Result<void> outcome) override {
    done_.push_back({message.connection, copy, std::move(outcome)});
  }
  void on_message_done(const MessageName&) override { ++messages_done_; }
  bool want_worker(std::string_view ticket) override {
    if (lookup_is_there_) wanted_.push_back(read_ticket(ticket)->owner);
    return lookup_is_there_;
  }
  void expel_worker(MailboxOwner owner) override { expelled_.push_back(owner); }
  void count(Counter counter) override { counted_.push_back(counter); }

  void start(std::uint64_t connection, std::vector<session::Copy> copies,
             std::string_view octets = "body\n") {
    Body body;
    ASSERT_TRUE(body.append(octets));
    ASSERT_TRUE(body.seal());
    deliveries_.start({connection, 1}, std::move(body), std::move(copies));
  }
  void run() { run_loop(base_.get()); }
  [[nodiscard]] auto times_counted(Counter counter) const {
    return std::ranges::count(counted_, counter);
  }

  const EventBasePtr base_{event_base_new()};
  Deliveries deliveries_{base_.get(), *this, kRoom};
  FarEnd worker_;
  FarEnd other_worker_;
  std::vector<Done> done_;
  int messages_done_ = 0;
  bool lookup_is_there_ = true;
  std::vector<MailboxOwner> wanted_;
  std::vector<MailboxOwner> expelled_;
  std::vector<Counter> counted_;
};

}  // namespace lmtpd::frontend
