// Who makes room where an Authenticator has as many exchanges as it may.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "tests/lookup/authenticator_fixture.h"

namespace lmtpd::lookup {
namespace {

class FullAuthenticator : public AuthenticatorTest {
 protected:
  FullAuthenticator() : AuthenticatorTest(4) {}

  // Waits for its client.
  void idle(std::uint64_t id, const std::string& address) { begin(id, "LOGIN", "tim", address); }
  // What was told since the last time.
  std::string told() {
    std::string text;
    for (const Step& step : std::exchange(steps_, {})) {
      constexpr std::array kNames{"challenge", "accepted", "refused", "unavailable"};
      text += fmt::format("{} {}, ", step.id, kNames.at(static_cast<std::size_t>(step.kind)));
    }
    return text;
  }
};

TEST_F(FullAuthenticator, AnAddressThatHoldsAllPlacesMakesRoomWithTheOneThatWaitsLongest) {
  for (std::uint64_t id = 1; id <= 4; ++id) idle(id, "192.0.2.1");
  EXPECT_TRUE(authenticator_.respond(*this, 1, ""));  // no password: over
  idle(5, "192.0.2.1");
  told();
  idle(6, "192.0.2.2");
  EXPECT_EQ(told(), "2 unavailable, 6 challenge, ");
  idle(7, "192.0.2.1");
  EXPECT_EQ(told(), "3 unavailable, 7 challenge, ");
  idle(8, "192.0.2.3");
  EXPECT_EQ(told(), "4 unavailable, 8 challenge, ");
  // What its client had said by then is no breach.
  EXPECT_TRUE(authenticator_.respond(*this, 3, "pencil"));
  EXPECT_TRUE(authenticator_.respond(*this, 6, "pencil"));
  wait_for(1);
  EXPECT_EQ(told(), "6 accepted, ");
}

TEST_F(FullAuthenticator, OfAQueueTheLastGivesWayAndNoneThatIsLookedAt) {
  Rounds rounds;
  table_.answer_in(&rounds);
  plain(1, "tim", "pencil");
  plain(2, "tim", "pencil");
  idle(3, "192.0.2.1");
  plain(4, "tim", "pencil");
  told();
  plain(5, "tim", "pencil", "192.0.2.2");
  plain(6, "tim", "pencil", "192.0.2.3");
  plain(7, "tim", "pencil", "192.0.2.4");
  EXPECT_EQ(told(), "3 unavailable, 4 unavailable, 2 unavailable, ");
  plain(8, "tim", "pencil", "192.0.2.5");
  EXPECT_EQ(told(), "8 unavailable, ");
  rounds.play_all();
  wait_for(4);
  for (const Step& step : steps_) EXPECT_EQ(step.kind, Kind::accepted) << step.id;
  EXPECT_EQ(hashes_, 4);
}

// One is looked up for an address, and the others wait.
TEST_F(FullAuthenticator, SoDoesWhoWaitsForScramsVerifier) {
  Rounds rounds;
  table_.answer_in(&rounds);
  for (std::uint64_t id = 1; id <= 4; ++id) begin(id, "SCRAM-SHA-256", "n,,n=tim,r=abc");
  plain(5, "tim", "pencil", "192.0.2.2");
  EXPECT_EQ(told(), "4 unavailable, ");
  while (steps_.size() < 4) {
    event_base_loop(base_.get(), EVLOOP_NONBLOCK);
    rounds.play_all();
  }
  std::ranges::sort(steps_, {}, &Step::id);
  EXPECT_EQ(told(), "1 challenge, 2 challenge, 3 challenge, 5 accepted, ");
}

// Else the tables could be asked for any number, by clients that come and leave.
TEST_F(FullAuthenticator, WhoLeavesKeepsHisPlaceUntilTheTablesHaveAnswered) {
  Rounds rounds;
  table_.answer_in(&rounds);
  const auto come_and_leave = [this](std::uint64_t id) {
    begin(id, "SCRAM-SHA-256", "n,,n=tim,r=abc", fmt::format("192.0.2.{}", id));
    authenticator_.end(*this, id);
  };
  for (std::uint64_t id = 1; id <= 4; ++id) come_and_leave(id);
  EXPECT_EQ(told(), "");
  come_and_leave(5);
  plain(6, "tim", "pencil", "192.0.2.6");
  EXPECT_EQ(told(), "5 unavailable, 6 unavailable, ");
  EXPECT_EQ(rounds.waiting(), 4U);
  rounds.play_all();
  EXPECT_EQ(told(), "");
  table_.answer_in(nullptr);
  plain(7, "tim", "pencil", "192.0.2.1");
  wait_for(1);
  EXPECT_EQ(told(), "7 accepted, ");
}

TEST_F(FullAuthenticator, SoDoesWhoWaitsForTheTimeOfHisFailures) {
  const auto try_all = [this](std::uint64_t first_id) {
    for (std::uint64_t i = 0; i < 4; ++i) {
      plain(first_id + i, fmt::format("user{}", i), "wrong", fmt::format("192.0.2.{}", i));
    }
  };
  try_all(1);
  wait_for(4);
  told();
  try_all(5);
  idle(9, "192.0.2.9");
  EXPECT_EQ(told(), "8 unavailable, 9 challenge, ");
  idle(10, "192.0.2.10");
  EXPECT_EQ(told(), "9 unavailable, 10 challenge, ");
}

}  // namespace
}  // namespace lmtpd::lookup
