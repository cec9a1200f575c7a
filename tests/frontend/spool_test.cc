#include "lmtpd/frontend/spool.h"

#include <gtest/gtest.h>

namespace lmtpd::frontend {
namespace {

constexpr std::uint64_t kShare = 1000;
constexpr std::uint64_t kLargest = 300;  // so that 700 is for all, and 300 more for the oldest

class Spools : public testing::Test, public Spool::Waiter {
 protected:
  static MessageName message(std::uint64_t n) { return {n, 1}; }
  void on_booked(const MessageName& id) override { booked_.push_back(id.connection); }
  void on_booking_refused(const MessageName& id) override { refused_.push_back(id.connection); }

  const Clock::time_point start_ = Clock::now();
  Spool spool_{kShare, kLargest, *this};
  std::vector<std::uint64_t> booked_;
  std::vector<std::uint64_t> refused_;
};

TEST_F(Spools, BookUpToWhatIsNotKeptBack) {
  EXPECT_TRUE(spool_.book(message(1), 400, start_));
  EXPECT_TRUE(spool_.book(message(2), 300, start_));
  EXPECT_FALSE(spool_.book(message(3), 1, start_));
  EXPECT_EQ(spool_.booked(), 700U);
}

TEST_F(Spools, LetTheOldestFinishWithWhatIsKeptBack) {
  EXPECT_TRUE(spool_.book(message(1), 100, start_));
  EXPECT_TRUE(spool_.book(message(2), 600, start_));
  EXPECT_FALSE(spool_.book(message(2), 1, start_));
  EXPECT_TRUE(spool_.book(message(1), 300, start_));
  EXPECT_EQ(spool_.booked(), kShare);
}

TEST_F(Spools, ServeThoseWhoWaitByAgeWhenOctetsAreFreed) {
  ASSERT_TRUE(spool_.book(message(1), 700, start_));
  ASSERT_FALSE(spool_.book(message(2), 300, start_));
  ASSERT_FALSE(spool_.book(message(3), 100, start_));
  spool_.run_waiting();
  EXPECT_TRUE(booked_.empty());
  spool_.release(message(1));
  spool_.run_waiting();
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(spool_.booked(), 400U);
  EXPECT_FALSE(spool_.anyone_waits());
}

TEST_F(Spools, DoNotLetANewcomerPassThoseWhoWait) {
  ASSERT_TRUE(spool_.book(message(1), 600, start_));
  ASSERT_FALSE(spool_.book(message(2), 300, start_));
  EXPECT_FALSE(spool_.book(message(3), 50, start_));
}

TEST_F(Spools, RefuseAfterTheWaitAllButTheOldest) {
  ASSERT_TRUE(spool_.book(message(1), 350, start_));
  ASSERT_TRUE(spool_.book(message(2), 350, start_));
  ASSERT_FALSE(spool_.book(message(2), 100, start_));
  ASSERT_FALSE(spool_.book(message(1), 350, start_));
  spool_.expire(start_ + Spool::kWait - std::chrono::milliseconds(1));
  EXPECT_TRUE(refused_.empty());
  spool_.expire(start_ + Spool::kWait);
  EXPECT_EQ(refused_, (std::vector<std::uint64_t>{2}));
  spool_.release(message(2));
  spool_.run_waiting();
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{1}));
}

TEST_F(Spools, RefuseTheOldestTooWhereNothingOfItHasBegun) {
  ASSERT_TRUE(spool_.book(message(1), 500, start_));
  ASSERT_FALSE(spool_.book(message(2), 600, start_));
  spool_.finish(message(1));  // and is not delivered soon
  spool_.expire(start_ + Spool::kWait - std::chrono::milliseconds(1));
  EXPECT_TRUE(refused_.empty());
  spool_.expire(start_ + Spool::kWait);
  EXPECT_EQ(refused_, (std::vector<std::uint64_t>{2}));
}

TEST_F(Spools, CountAFinishedMessageButDoNotTakeItForTheOldest) {
  ASSERT_TRUE(spool_.book(message(1), 500, start_));
  spool_.finish(message(1));
  ASSERT_TRUE(spool_.book(message(2), 200, start_));
  EXPECT_TRUE(spool_.book(message(2), 300, start_));  // it is the oldest unfinished one now
  spool_.release(message(1));
  EXPECT_EQ(spool_.booked(), 500U);
}

TEST_F(Spools, ForgetAWaiterThatIsReleased) {
  ASSERT_TRUE(spool_.book(message(1), 700, start_));
  ASSERT_FALSE(spool_.book(message(2), 300, start_));
  spool_.release(message(2));
  spool_.release(message(1));
  spool_.run_waiting();
  EXPECT_TRUE(booked_.empty());
  EXPECT_EQ(spool_.booked(), 0U);
}

TEST_F(Spools, HaveRoomForAnythingThatIsAlone) {
  EXPECT_TRUE(spool_.book(message(1), kShare + 100, start_));
  EXPECT_FALSE(spool_.book(message(2), 1, start_));
  EXPECT_TRUE(spool_.book(message(1), 1, start_)) << "who waits has nothing";
  spool_.release(message(1));
  spool_.run_waiting();
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{2}));
}

TEST(SpoolKeptBack, IsAtMostHalf) {
  struct Nobody : Spool::Waiter {
    void on_booked(const MessageName&) override {}
    void on_booking_refused(const MessageName&) override {}
  } nobody;
  Spool spool(1000, 1000, nobody);
  const Clock::time_point now = Clock::now();
  EXPECT_TRUE(spool.book({1, 1}, 10, now));
  EXPECT_TRUE(spool.book({2, 1}, 490, now));
  EXPECT_FALSE(spool.book({3, 1}, 1, now));
}

}  // namespace
}  // namespace lmtpd::frontend
