// Workers that stand still: who is expelled for it, after what time, and what becomes of the mail.
#include <gtest/gtest.h>

#include "lmtpd/frontend/owner_lane.h"
#include "lmtpd/frontend/spool.h"
#include "tests/frontend/deliveries_fixture.h"

namespace lmtpd::frontend {
namespace {

const std::string kFifthOfRoom(kRoom / 5, 'x');

class StandingWorker : public DeliveriesTest {};

// It has nothing under way: what it owes is to go.
TEST_F(StandingWorker, ExpelAWorkerThatIsLeavingAndDoesNotGoWhileMailForItWaits) {
  deliveries_.introduce(kOne, worker_.open());
  deliveries_.introduce(kTwo, other_worker_.open());
  worker_.send(Leaving{});
  run();
  const auto soon = [] { return Clock::now() + Spool::kPatience; };
  for (std::uint64_t i = 1; i <= 2; ++i) start(i, {copy_for(kOne)}, kFifthOfRoom);
  deliveries_.expire(soon(), true);
  EXPECT_TRUE(expelled_.empty()) << "less than half";
  start(3, {copy_for(kOne), copy_for(kTwo)}, kFifthOfRoom);
  deliveries_.expire(soon() - std::chrono::seconds(1), true);
  EXPECT_TRUE(expelled_.empty());
  deliveries_.expire(soon(), true);
  EXPECT_EQ(expelled_, (std::vector<MailboxOwner>{kOne}));
  EXPECT_EQ(done_.size(), 3U);
  EXPECT_EQ(messages_done_, 2) << "whose room is free";
  start(4, {copy_for(kOne)});
  run();
  EXPECT_EQ(done_.size(), 4U) << "until it is gone";
  worker_.close();
  run();
  start(5, {copy_for(kOne)});
  EXPECT_EQ(wanted_, (std::vector<MailboxOwner>{kOne}));
}

TEST_F(StandingWorker, GiveAWorkerThatIsLeavingItsTimeFromTheFirstThatWaitsForItToGo) {
  deliveries_.introduce(kOne, worker_.open());
  worker_.send(Leaving{});
  run();
  const Clock::time_point left = Clock::now();
  deliveries_.expire(left + 2 * Deliveries::kDeadline, false);
  EXPECT_TRUE(expelled_.empty()) << "nobody waits";
  start(1, {copy_for(kOne)});
  deliveries_.expire(left + Deliveries::kDeadline, false);
  EXPECT_TRUE(expelled_.empty());
  deliveries_.expire(Clock::now() + Deliveries::kDeadline, false);
  EXPECT_EQ(expelled_, (std::vector<MailboxOwner>{kOne}));
}

TEST_F(StandingWorker, GiveAWorkerThatSaysLeavingItsTimeFromThere) {
  deliveries_.introduce(kOne, worker_.open());
  start(1, std::vector<session::Copy>(kDeliveryWindow + 1, copy_for(kOne)));
  run();
  const Clock::time_point sent = Clock::now();
  worker_.send(Leaving{});
  run();
  deliveries_.expire(sent + Deliveries::kDeadline, false);
  EXPECT_TRUE(expelled_.empty());
}

TEST_F(StandingWorker, ExpelSoonerAWorkerThatStandsStillWithMoreThanAPartWhileOthersWant) {
  deliveries_.introduce(kOne, worker_.open());
  deliveries_.introduce(kTwo, other_worker_.open());
  for (std::uint64_t i = 1; i <= 2; ++i) start(i, {copy_for(kOne)}, kFifthOfRoom);
  run();
  const Clock::time_point soon = Clock::now() + Spool::kPatience;
  deliveries_.expire(soon, true);
  EXPECT_TRUE(expelled_.empty()) << "less than half";
  start(3, {copy_for(kOne), copy_for(kTwo)}, kFifthOfRoom);
  start(4, std::vector<session::Copy>(kDeliveryWindow, copy_for(kOne)));
  run();
  deliveries_.expire(soon, false);
  EXPECT_TRUE(expelled_.empty()) << "nobody wants it";
  deliveries_.expire(soon, true);
  EXPECT_EQ(expelled_, (std::vector<MailboxOwner>{kOne}));
  EXPECT_EQ(done_.size(), kDeliveryWindow + 3);
  EXPECT_EQ(times_counted(Counter::owner_deferrals), 3) << "what has not been sent";
  EXPECT_EQ(times_counted(Counter::delivery_timeouts), kDeliveryWindow);
  EXPECT_EQ(messages_done_, 3) << "whose room is free";
  EXPECT_EQ(other_worker_.receive<Deliver>().size(), 1U);
}

TEST_F(StandingWorker, CountWhatAnOwnersCopiesTakeAndForgetItOnceTheyAreAnswered) {
  deliveries_.introduce(kOne, worker_.open());
  deliveries_.introduce(kTwo, other_worker_.open());
  start(1, std::vector<session::Copy>(kRoom / 2 / Spool::kCopy - 1, copy_for(kOne)));
  run();
  const auto soon = [] { return Clock::now() + Spool::kPatience; };
  deliveries_.expire(soon(), true);
  EXPECT_TRUE(expelled_.empty());
  for (const Deliver& message : worker_.receive<Deliver>()) {
    for (const auto& copy : message.deliveries)
      worker_.send(Outcome{.id = copy.id, .stored = true});
  }
  run();
  start(2, {copy_for(kOne), copy_for(kOne)});
  run();
  deliveries_.expire(soon(), true);
  EXPECT_TRUE(expelled_.empty()) << "what is answered takes nothing";
  start(3, {copy_for(kOne)}, std::string(kRoom / 2, 'x'));
  deliveries_.expire(soon(), true);
  EXPECT_EQ(expelled_, (std::vector<MailboxOwner>{kOne}));
}

TEST_F(StandingWorker, DivideTheRoomInFourPartsAtMostAndNotForAnOwnerWhoIsAlone) {
  deliveries_.introduce(kOne, worker_.open());
  start(1, {copy_for(kOne)}, std::string(kRoom, 'x'));
  run();
  const Clock::time_point soon = Clock::now() + Spool::kPatience;
  deliveries_.expire(soon, true);
  EXPECT_TRUE(expelled_.empty());
  for (std::uint32_t uid = 2001; uid <= 2010; ++uid) {
    deliveries_.introduce({Uid(uid), Gid(uid)}, other_worker_.open());
  }
  start(2, {copy_for({Uid(2010), Gid(2010)})}, kFifthOfRoom);
  run();
  deliveries_.expire(soon, true);
  EXPECT_EQ(expelled_, (std::vector<MailboxOwner>{kOne}));
}

TEST_F(StandingWorker, ExpelAWorkerThatStandsStillAndAnswerAtOnceUntilItsNextWord) {
  deliveries_.introduce(kOne, worker_.open());
  start(1, std::vector<session::Copy>(kDeliveryWindow + 1, copy_for(kOne)));
  run();
  const std::uint64_t id = worker_.receive<Deliver>().at(0).deliveries.at(0).id;
  start(2, {copy_for(kTwo)});
  start(3, {copy_for(kOne)});
  deliveries_.expire(Clock::now() + Deliveries::kDeadline - std::chrono::seconds(1), false);
  EXPECT_TRUE(expelled_.empty());
  deliveries_.expire(Clock::now() + Deliveries::kDeadline, false);
  EXPECT_EQ(expelled_, (std::vector<MailboxOwner>{kOne}));
  EXPECT_EQ(done_.size(), kDeliveryWindow + 3) << "what has not been sent, too";
  EXPECT_EQ(times_counted(Counter::owner_deferrals), 2) << "that alone";

  // It may hang in the kernel, and not die of it.
  done_.clear();
  start(4, {copy_for(kOne), copy_for(kTwo)});
  run();
  ASSERT_EQ(done_.size(), 1U);
  EXPECT_EQ(times_counted(Counter::owner_deferrals), 3);
  EXPECT_EQ(done_[0].outcome.error().reason, Reason::io);
  EXPECT_TRUE(worker_.receive<Deliver>().empty());
  deliveries_.expire(Clock::now() + Deliveries::kDeadline, false);
  EXPECT_EQ(expelled_.size(), 1U);

  worker_.send(Outcome{.id = id, .stored = true});
  run();
  start(5, {copy_for(kOne)});
  run();
  EXPECT_EQ(worker_.receive<Deliver>().size(), 1U);
}

TEST_F(StandingWorker, AskForTheSuccessorOfAWorkerThatStoodStill) {
  deliveries_.introduce(kOne, worker_.open());
  start(1, {copy_for(kOne)});
  run();
  deliveries_.expire(Clock::now() + Deliveries::kDeadline, false);
  ASSERT_EQ(expelled_.size(), 1U);
  worker_.close();
  run();
  start(2, {copy_for(kOne)});
  EXPECT_EQ(wanted_, (std::vector<MailboxOwner>{kOne}));
  deliveries_.introduce(kOne, worker_.open());
  run();
  EXPECT_EQ(worker_.receive<Deliver>().size(), 1U);
}

TEST_F(StandingWorker, ExpelNoWorkerThatIsOnlySlow) {
  deliveries_.introduce(kOne, worker_.open());
  start(1, {copy_for(kOne), copy_for(kOne)});
  run();
  const std::uint64_t id = worker_.receive<Deliver>().at(0).deliveries.at(0).id;
  const Clock::time_point before = Clock::now();
  worker_.send(Outcome{.id = id, .stored = true});
  run();
  deliveries_.expire(before + Deliveries::kDeadline, false);
  EXPECT_EQ(done_.size(), 2U);
  EXPECT_TRUE(expelled_.empty());
}

}  // namespace
}  // namespace lmtpd::frontend
