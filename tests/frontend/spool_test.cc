#include "lmtpd/frontend/spool.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>

namespace lmtpd::frontend {
namespace {

constexpr std::uint64_t kShare = 1000;
const std::string kClient = "uid 101";
const std::string kOther = "192.0.2.1";
constexpr std::uint64_t kLargest = 300;  // so that 700 is for all, and 300 more for the oldest

class Spools : public testing::Test, public Spool::Waiter {
 protected:
  static MessageName message(std::uint64_t n) { return {n, 1}; }
  void on_booked(const MessageName& id) override { booked_.push_back(id.connection); }
  void on_booking_refused(const MessageName& id) override { refused_.push_back(id.connection); }
  void on_booking_lost(const MessageName& id) override { lost_.push_back(id.connection); }
  std::uint64_t on_reclaim(const MessageName& id) override {
    return std::exchange(unused_[id.connection], 0);
  }

  const Clock::time_point start_ = Clock::now();
  Spool spool_{kShare, kLargest, *this};
  std::vector<std::uint64_t> booked_;
  std::vector<std::uint64_t> refused_;
  std::vector<std::uint64_t> lost_;
  std::map<std::uint64_t, std::uint64_t> unused_;
};

TEST_F(Spools, BookUpToWhatIsNotKeptBack) {
  EXPECT_TRUE(spool_.book(message(1), kClient, 400, start_));
  EXPECT_TRUE(spool_.book(message(2), kClient, 300, start_));
  EXPECT_FALSE(spool_.book(message(3), kClient, 1, start_));
  EXPECT_EQ(spool_.booked(), 700U);
}

TEST_F(Spools, LetTheOldestFinishWithWhatIsKeptBack) {
  EXPECT_TRUE(spool_.book(message(1), kClient, 100, start_));
  EXPECT_TRUE(spool_.book(message(2), kClient, 600, start_));
  EXPECT_FALSE(spool_.book(message(2), kClient, 1, start_));
  EXPECT_TRUE(spool_.book(message(1), kClient, 300, start_));
  EXPECT_EQ(spool_.booked(), kShare);
}

TEST_F(Spools, ServeThoseWhoWaitByAgeWhenOctetsAreFreed) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 700, start_));
  ASSERT_FALSE(spool_.book(message(2), kClient, 300, start_));
  ASSERT_FALSE(spool_.book(message(3), kClient, 100, start_));
  spool_.run_waiting(start_);
  EXPECT_TRUE(booked_.empty());
  spool_.release(message(1));
  spool_.run_waiting(start_);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(spool_.booked(), 400U);
  EXPECT_FALSE(spool_.anyone_waits());
}

TEST_F(Spools, DoNotLetANewcomerPassThoseWhoWait) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 600, start_));
  ASSERT_FALSE(spool_.book(message(2), kClient, 300, start_));
  EXPECT_FALSE(spool_.book(message(3), kClient, 50, start_));
}

TEST_F(Spools, RefuseAfterTheWaitAllButTheOldest) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 350, start_));
  ASSERT_TRUE(spool_.book(message(2), kClient, 350, start_));
  ASSERT_FALSE(spool_.book(message(2), kClient, 100, start_));
  ASSERT_FALSE(spool_.book(message(1), kClient, 350, start_));
  spool_.expire(start_ + Spool::kWait - std::chrono::milliseconds(1));
  EXPECT_TRUE(refused_.empty());
  spool_.expire(start_ + Spool::kWait);
  EXPECT_EQ(refused_, (std::vector<std::uint64_t>{2}));
  spool_.release(message(2));
  spool_.run_waiting(start_);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{1}));
}

TEST_F(Spools, RefuseTheOldestTooWhereNothingOfItHasBegun) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 500, start_));
  ASSERT_FALSE(spool_.book(message(2), kClient, 600, start_));
  spool_.finish(message(1), kShare);  // and is not delivered soon
  spool_.expire(start_ + Spool::kWait - std::chrono::milliseconds(1));
  EXPECT_TRUE(refused_.empty());
  spool_.expire(start_ + Spool::kWait);
  EXPECT_EQ(refused_, (std::vector<std::uint64_t>{2}));
}

TEST_F(Spools, LeaveToAFinishedMessageWhatItTakesOfItsRoom) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 700, start_));
  ASSERT_FALSE(spool_.book(message(2), kClient, 300, start_));
  spool_.finish(message(1), 400);
  EXPECT_EQ(spool_.booked(), 400U);
  spool_.run_waiting(start_);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{2}));
  spool_.finish(message(2), 301);
  EXPECT_EQ(spool_.booked(), 700U);
  spool_.release(message(1));
  spool_.release(message(2));
  EXPECT_EQ(spool_.booked(), 0U);
}

TEST_F(Spools, CountAFinishedMessageButDoNotTakeItForTheOldest) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 500, start_));
  spool_.finish(message(1), kShare);
  ASSERT_TRUE(spool_.book(message(2), kClient, 200, start_));
  EXPECT_TRUE(
      spool_.book(message(2), kClient, 300, start_));  // it is the oldest unfinished one now
  spool_.release(message(1));
  EXPECT_EQ(spool_.booked(), 500U);
}

TEST_F(Spools, ForgetAWaiterThatIsReleased) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 700, start_));
  ASSERT_FALSE(spool_.book(message(2), kClient, 300, start_));
  spool_.release(message(2));
  spool_.release(message(1));
  spool_.run_waiting(start_);
  EXPECT_TRUE(booked_.empty());
  EXPECT_EQ(spool_.booked(), 0U);
}

TEST_F(Spools, HaveRoomForAnythingThatIsAlone) {
  EXPECT_TRUE(spool_.book(message(1), kClient, kShare + 100, start_));
  EXPECT_FALSE(spool_.book(message(2), kClient, 1, start_));
  EXPECT_TRUE(spool_.book(message(1), kClient, 1, start_)) << "who waits has nothing";
  spool_.release(message(1));
  spool_.run_waiting(start_);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{2}));
}

TEST_F(Spools, TakeBackWhatAMessageBookedAndDidNotUse) {
  unused_ = {{1, 490}};
  ASSERT_TRUE(spool_.book(message(1), kClient, 500, start_));
  ASSERT_TRUE(spool_.book(message(2), kClient, 100, start_));  // and uses it all
  EXPECT_TRUE(spool_.book(message(3), kClient, 500, start_ + Spool::kUse));
  EXPECT_EQ(spool_.booked(), 610U);
}

TEST_F(Spools, LeaveAMessageItsRoomForAMoment) {
  unused_ = {{1, 350}, {2, 350}};
  ASSERT_TRUE(spool_.book(message(1), kClient, 350, start_));
  ASSERT_TRUE(spool_.book(message(2), kClient, 350, start_ + Spool::kUse / 2));
  EXPECT_FALSE(spool_.book(message(3), kClient, 351, start_ + Spool::kUse));
  EXPECT_EQ(spool_.booked(), 350U);
}

TEST_F(Spools, TakeNothingBackFromTheOneThatAsks) {
  unused_ = {{1, 90}, {2, 500}};
  ASSERT_TRUE(spool_.book(message(1), kClient, 100, start_));
  ASSERT_TRUE(spool_.book(message(2), kClient, 500, start_));
  EXPECT_FALSE(spool_.book(message(2), kClient, 300, start_ + Spool::kUse));
  EXPECT_EQ(spool_.booked(), 510U);
}

TEST_F(Spools, TakeBackForThoseWhoWaitAlready) {
  unused_ = {{1, 700}};
  ASSERT_TRUE(spool_.book(message(1), kClient, 700, start_));
  ASSERT_FALSE(spool_.book(message(2), kClient, 300, start_));
  spool_.expire(start_ + Spool::kUse);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{2}));
}

TEST_F(Spools, CountTheMomentFromTheEndOfTheWait) {
  unused_ = {{2, 300}};
  ASSERT_TRUE(spool_.book(message(1), kClient, 700, start_));
  ASSERT_FALSE(spool_.book(message(2), kClient, 300, start_));
  spool_.release(message(1));
  spool_.run_waiting(start_ + Spool::kUse);
  ASSERT_EQ(booked_, (std::vector<std::uint64_t>{2}));
  EXPECT_FALSE(spool_.book(message(3), kClient, 500, start_ + Spool::kUse));
}

// Of 700 octets each of two is due 350.
TEST_F(Spools, ServeAClientWithinItsPartBeforeAnEarlierOneBeyondIt) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 300, start_));
  ASSERT_TRUE(spool_.book(message(2), kClient, 400, start_));
  ASSERT_FALSE(spool_.book(message(3), kClient, 100, start_));
  ASSERT_FALSE(spool_.book(message(4), kOther, 150, start_));
  spool_.finish(message(2), kShare);
  spool_.release(message(2));  // 400 are free, and the third would lead beyond the part
  spool_.run_waiting(start_);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{4, 3}));
  booked_.clear();
  ASSERT_TRUE(spool_.book(message(5), kClient, 150, start_));
  ASSERT_FALSE(spool_.book(message(6), kClient, 100, start_));
  ASSERT_FALSE(spool_.book(message(7), kOther, 100, start_));
  spool_.release(message(4));  // 550 are the client's
  spool_.run_waiting(start_);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{7}));
}

TEST_F(Spools, GiveNothingToAClientBeyondItsPartWhileAnotherWaits) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 300, start_));
  ASSERT_TRUE(spool_.book(message(2), kClient, 300, start_));
  ASSERT_FALSE(spool_.book(message(3), kOther, 200, start_));
  ASSERT_FALSE(spool_.book(message(4), kClient, 50, start_));
  spool_.run_waiting(start_);
  EXPECT_TRUE(booked_.empty()) << "though 50 would fit";
  spool_.release(message(3));  // its client has left
  spool_.run_waiting(start_);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{4}));
}

TEST_F(Spools, LetTheOldestGrowWhoseverItIs) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 300, start_));
  ASSERT_TRUE(spool_.book(message(2), kClient, 400, start_));
  ASSERT_FALSE(spool_.book(message(3), kOther, 150, start_));
  ASSERT_FALSE(spool_.book(message(1), kClient, 400, start_));
  spool_.release(message(2));
  spool_.run_waiting(start_);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{1}));
}

TEST_F(Spools, GiveUpWhatStandsStillForAnotherClient) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 300, start_));
  ASSERT_TRUE(spool_.book(message(2), kClient, 200, start_));
  ASSERT_TRUE(spool_.book(message(3), kClient, 200, start_));
  ASSERT_FALSE(spool_.book(message(5), "third", 701, start_));  // for which no room can be made
  ASSERT_FALSE(spool_.book(message(4), kOther, 400, start_));
  spool_.expire(start_ + Spool::kPatience - std::chrono::milliseconds(1));
  EXPECT_TRUE(lost_.empty());
  spool_.expire(start_ + Spool::kPatience);
  EXPECT_EQ(lost_, (std::vector<std::uint64_t>{1, 2})) << "as many as are needed";
  for (const std::uint64_t gone : {1U, 2U, 5U}) spool_.release(message(gone));
  spool_.run_waiting(start_ + Spool::kPatience);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{4}));
}

TEST_F(Spools, GiveUpWhatStandsStillThoughItWaitsForMore) {
  ASSERT_TRUE(spool_.book(message(1), "third", 100, start_));
  ASSERT_TRUE(spool_.book(message(2), kClient, 300, start_));
  ASSERT_TRUE(spool_.book(message(3), kClient, 300, start_));
  ASSERT_FALSE(spool_.book(message(4), kOther, 200, start_));
  ASSERT_FALSE(spool_.book(message(2), kClient, 1, start_));
  ASSERT_FALSE(spool_.book(message(3), kClient, 1, start_));
  ASSERT_FALSE(spool_.book(message(5), kClient, 1, start_));  // has nothing that would help
  spool_.expire(start_ + Spool::kPatience);
  EXPECT_EQ(lost_, (std::vector<std::uint64_t>{2}));
  spool_.release(message(2));
  spool_.run_waiting(start_ + Spool::kPatience);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{4, 3, 5}));
  EXPECT_FALSE(spool_.anyone_waits());
}

TEST_F(Spools, GiveUpNoMoreThanBringsAClientWithinItsPart) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 200, start_));
  ASSERT_TRUE(spool_.book(message(2), kClient, 200, start_));
  ASSERT_TRUE(spool_.book(message(3), "third", 300, start_));
  ASSERT_FALSE(spool_.book(message(4), kOther, 500, start_));
  spool_.expire(start_ + Spool::kPatience);
  EXPECT_EQ(lost_, (std::vector<std::uint64_t>{1, 3}));
}

TEST_F(Spools, GiveUpNothingInVain) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 300, start_));
  ASSERT_TRUE(spool_.book(message(2), kClient, 400, start_));
  ASSERT_FALSE(spool_.book(message(3), kOther, 701, start_));
  spool_.expire(start_ + Spool::kPatience);
  EXPECT_TRUE(lost_.empty());
}

// The largest message may have all.
TEST_F(Spools, GiveUpForTheOldestWhatItTakesToBeAlone) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 100, start_));
  ASSERT_TRUE(spool_.book(message(2), kOther, 600, start_));
  ASSERT_FALSE(spool_.book(message(1), kClient, 950, start_));
  spool_.expire(start_ + Spool::kPatience);
  EXPECT_EQ(lost_, (std::vector<std::uint64_t>{2}));
}

TEST_F(Spools, GiveUpNothingThatGrowsNorIsFinishedNorWithinItsClientsPart) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 200, start_));
  ASSERT_TRUE(spool_.book(message(2), kClient, 200, start_));
  ASSERT_TRUE(spool_.book(message(3), "third", 100, start_));
  ASSERT_TRUE(spool_.book(message(4), kClient, 150, start_));
  spool_.finish(message(1), kShare);
  ASSERT_FALSE(spool_.book(message(5), kOther, 100, start_));
  ASSERT_TRUE(spool_.book(message(2), kClient, 50, start_ + std::chrono::seconds(1)));
  spool_.expire(start_ + Spool::kPatience);
  EXPECT_EQ(lost_, (std::vector<std::uint64_t>{4}));
}

TEST_F(Spools, GiveUpNothingForTheSameClientNorForOneBeyondItsPart) {
  ASSERT_TRUE(spool_.book(message(1), kClient, 300, start_));
  ASSERT_TRUE(spool_.book(message(2), kClient, 400, start_));
  ASSERT_FALSE(spool_.book(message(3), kClient, 200, start_));
  spool_.expire(start_ + Spool::kPatience);
  EXPECT_TRUE(lost_.empty());
  spool_.release(message(2));
  spool_.run_waiting(start_ + Spool::kPatience);  // the third has 200, and the client 500
  ASSERT_TRUE(spool_.book(message(4), kOther, 200, start_ + Spool::kPatience));
  ASSERT_FALSE(spool_.book(message(5), kClient, 100, start_ + Spool::kPatience));
  spool_.expire(start_ + 2 * Spool::kPatience);
  EXPECT_TRUE(lost_.empty());
}

// The largest message is as large as the share, of which half is kept back. Of the rest each of
// three is due 166.
class HalfKeptBack : public Spools {
 protected:
  void fill(std::uint64_t first, std::uint64_t second, std::uint64_t third) {
    ASSERT_TRUE(half_.book(message(1), kClient, 160, start_));
    ASSERT_TRUE(half_.book(message(2), kOther, second, start_));
    ASSERT_TRUE(half_.book(message(3), "third", third, start_));
    ASSERT_TRUE(half_.book(message(1), kClient, first - 160, start_));
    ASSERT_FALSE(half_.book(message(1), kClient, 20, start_));  // it is large, and wants more
    ASSERT_FALSE(half_.book(message(3), "third", 40, start_));
  }

  Spool half_{kShare, kShare, *this};
};

// Else each would be given up in its turn for those that it keeps waiting, and none would finish.
TEST_F(HalfKeptBack, GivesUpForNobodyTheOldestThatWaits) {
  fill(680, 160, 160);
  ASSERT_FALSE(half_.book(message(2), kOther, 40, start_));
  for (auto at = start_; at < start_ + Spool::kWait; at += std::chrono::seconds(1)) {
    half_.expire(at);
  }
  EXPECT_TRUE(lost_.empty());
  half_.expire(start_ + Spool::kWait);
  EXPECT_EQ(refused_, (std::vector<std::uint64_t>{2, 3}));
  for (const std::uint64_t gone : {2U, 3U}) half_.release(message(gone));
  half_.run_waiting(start_ + Spool::kWait);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{1}));
}

TEST_F(HalfKeptBack, GivesUpForTheOldestThatWaitsWhatStandsStillAndAfterThatTheOldestItself) {
  fill(700, 200, 100);
  half_.expire(start_ + Spool::kPatience - std::chrono::milliseconds(1));
  EXPECT_TRUE(lost_.empty());
  half_.expire(start_ + Spool::kPatience);
  EXPECT_EQ(lost_, (std::vector<std::uint64_t>{2}));
  half_.release(message(2));
  half_.run_waiting(start_ + Spool::kPatience);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{1}));
  lost_.clear();
  half_.expire(start_ + 2 * Spool::kPatience - std::chrono::milliseconds(1));
  EXPECT_TRUE(lost_.empty());
  half_.expire(start_ + 2 * Spool::kPatience);
  EXPECT_EQ(lost_, (std::vector<std::uint64_t>{1}));
}

class LargeSpool : public Spools {
 protected:
  static constexpr std::uint64_t kMuch = 4 * Spool::kSmall;
  Spool large_{2 * kMuch, kMuch, *this};
};

TEST_F(LargeSpool, LetsSmallMessagesPassThoseThatWaitForMuch) {
  ASSERT_TRUE(large_.book(message(1), kClient, Spool::kSmall, start_));
  ASSERT_FALSE(large_.book(message(2), kClient, kMuch, start_));
  EXPECT_TRUE(large_.book(message(3), kClient, Spool::kSmall, start_));
  EXPECT_FALSE(large_.book(message(4), kClient, Spool::kSmall + 1, start_));
  ASSERT_TRUE(large_.book(message(5), kClient, Spool::kSmall, start_));
  ASSERT_TRUE(large_.book(message(6), kClient, Spool::kSmall, start_));
  ASSERT_FALSE(large_.book(message(7), kClient, 1, start_));  // nothing is left
  ASSERT_FALSE(large_.book(message(8), kClient, Spool::kSmall, start_));
  large_.release(message(3));
  large_.run_waiting(start_);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{7}));
}

TEST_F(LargeSpool, LetsNobodyWaitForAWishBeyondItsClientsPart) {
  ASSERT_TRUE(large_.book(message(1), kClient, 1, start_));
  ASSERT_FALSE(large_.book(message(2), kClient, kMuch, start_));
  ASSERT_FALSE(large_.book(message(3), kOther, Spool::kSmall + 1, start_));
  large_.run_waiting(start_);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{3}));
  large_.release(message(1));  // and so the second is the oldest
  large_.run_waiting(start_);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{3, 2}));
}

TEST_F(LargeSpool, LetsNobodyPassOneThatHasBegun) {
  ASSERT_TRUE(large_.book(message(1), kClient, Spool::kSmall, start_));
  ASSERT_TRUE(large_.book(message(2), kClient, Spool::kSmall, start_));
  ASSERT_FALSE(large_.book(message(2), kClient, kMuch, start_));
  EXPECT_FALSE(large_.book(message(3), kClient, 1, start_));
}

// Where small messages pass it, and book what comes free, all that it declared may never be free.
TEST_F(LargeSpool, LetsTheOldestBeginWithoutTheRoomForAllThatItDeclared) {
  constexpr std::uint64_t kBody = 7 * Spool::kSmall;
  unused_ = {{2, kBody}};
  ASSERT_TRUE(large_.book(message(1), kClient, Spool::kSmall, start_));
  ASSERT_FALSE(large_.book(message(2), kClient, kBody + Spool::kCopy, start_));
  ASSERT_TRUE(large_.book(message(3), kClient, Spool::kSmall, start_));
  large_.run_waiting(start_);
  EXPECT_TRUE(booked_.empty());
  large_.release(message(1));
  ASSERT_TRUE(large_.book(message(4), kClient, Spool::kSmall, start_));
  large_.run_waiting(start_);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{2}));
  EXPECT_EQ(large_.booked(), 2 * Spool::kSmall + Spool::kCopy);
  // It comes in, and nobody passes it any more.
  EXPECT_TRUE(large_.book(message(2), kClient, 5 * Spool::kSmall, start_));
  EXPECT_FALSE(large_.book(message(2), kClient, 2 * Spool::kSmall, start_));
  EXPECT_FALSE(large_.book(message(5), kClient, 1, start_));
  booked_.clear();
  large_.release(message(3));
  large_.run_waiting(start_);
  EXPECT_TRUE(booked_.empty());
  large_.release(message(4));
  large_.run_waiting(start_);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{2}));
  large_.release(message(2));
  large_.run_waiting(start_);
  EXPECT_EQ(booked_, (std::vector<std::uint64_t>{2, 5}));
}

TEST_F(LargeSpool, LetsNobodyPassTheOldestThatHasNoRoomToBegin) {
  unused_ = {{2, kMuch}};
  ASSERT_TRUE(large_.book(message(1), kClient, 2 * kMuch, start_));
  large_.finish(message(1), 2 * kMuch);  // and is being delivered
  ASSERT_FALSE(large_.book(message(2), kClient, kMuch + Spool::kCopy, start_));
  large_.run_waiting(start_);
  EXPECT_TRUE(booked_.empty());
  large_.expire(start_ + Spool::kWait);
  EXPECT_EQ(refused_, (std::vector<std::uint64_t>{2}));
  large_.release(message(2));
  ASSERT_FALSE(large_.book(message(3), kClient, 1, start_));
  large_.release(message(1));
  EXPECT_FALSE(large_.book(message(4), kClient, 1, start_)) << "the third waits";
}

// The oldest has more than half, and so all others wait.
class GrowingSpool : public LargeSpool {
 protected:
  // A second goes by, in which it sends `octets`.
  void grow(std::uint64_t octets) {
    now_ += std::chrono::seconds(1);
    EXPECT_TRUE(large_.book(message(1), kClient, Spool::kSmall, now_));
    unused_[1] = Spool::kSmall - octets;
    now_ += Spool::kUse;
    large_.expire(now_);
  }

  Clock::time_point now_ = start_;
};

TEST_F(GrowingSpool, GivesUpWhatGrowsByAnOctetNowAndThen) {
  ASSERT_TRUE(large_.book(message(1), kClient, kMuch + 1, now_));
  ASSERT_FALSE(large_.book(message(2), kOther, 1, now_));
  while (now_ < start_ + Spool::kPatience) grow(1);
  EXPECT_TRUE(lost_.empty()) << "at the first of them it had grown";
  grow(1);
  EXPECT_EQ(lost_, (std::vector<std::uint64_t>{1}));
}

TEST_F(GrowingSpool, GivesUpNothingThatGrows) {
  ASSERT_TRUE(large_.book(message(1), kClient, kMuch + 1, now_));
  ASSERT_FALSE(large_.book(message(2), kOther, 1, now_));
  while (now_ < start_ + 3 * Spool::kPatience) grow(kMuch / Spool::kLeastGrowth / 6);
  EXPECT_TRUE(lost_.empty());
}

TEST(SpoolKeptBack, IsAtMostHalf) {
  struct Nobody : Spool::Waiter {
    void on_booked(const MessageName&) override {}
    void on_booking_refused(const MessageName&) override {}
    void on_booking_lost(const MessageName&) override {}
    std::uint64_t on_reclaim(const MessageName&) override { return 0; }
  } nobody;
  Spool spool(1000, 1000, nobody);
  const Clock::time_point now = Clock::now();
  EXPECT_TRUE(spool.book({1, 1}, kClient, 10, now));
  EXPECT_TRUE(spool.book({2, 1}, kClient, 490, now));
  EXPECT_FALSE(spool.book({3, 1}, kClient, 1, now));
}

}  // namespace
}  // namespace lmtpd::frontend
