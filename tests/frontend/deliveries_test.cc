#include "lmtpd/frontend/deliveries.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/frontend/deliveries_fixture.h"

namespace lmtpd::frontend {
namespace {

TEST_F(DeliveriesTest, AskOnceForAWorkerAndSendWhenItIsIntroduced) {
  start(1, {copy_for(kOne)});
  start(2, {copy_for(kOne)});
  EXPECT_EQ(wanted_, (std::vector<MailboxOwner>{kOne}));
  deliveries_.introduce(kOne, worker_.open());
  run();
  const std::vector<Deliver> sent = worker_.receive<Deliver>();
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[0].body, "body\n");
  worker_.send(Outcome{.id = sent[1].deliveries[0].id, .stored = true});
  worker_.send(
      Outcome{.id = sent[0].deliveries[0].id, .reason = Reason::over_quota, .text = "full"});
  run();
  ASSERT_EQ(done_.size(), 2U);
  EXPECT_EQ(done_[0].connection, 2U);
  EXPECT_TRUE(done_[0].outcome);
  EXPECT_EQ(done_[1].outcome.error().reason, Reason::over_quota);
  EXPECT_EQ(messages_done_, 2);
  EXPECT_TRUE(deliveries_.none());
}

TEST_F(DeliveriesTest, LetTheBodyCrossOnceToEachWorker) {
  deliveries_.introduce(kOne, worker_.open());
  deliveries_.introduce(kTwo, other_worker_.open());
  start(1, {copy_for(kOne), copy_for(kTwo), copy_for(kOne)});
  run();
  const std::vector<Deliver> first = worker_.receive<Deliver>();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].deliveries.size(), 2U);
  const std::vector<Deliver> second = other_worker_.receive<Deliver>();
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].deliveries.size(), 1U);
}

TEST_F(DeliveriesTest, SayWhetherADeliveryIsAllThatIsUnderWay) {
  deliveries_.introduce(kOne, worker_.open());
  deliveries_.introduce(kTwo, other_worker_.open());
  const auto sent_to = [&](FarEnd& worker) {
    run();
    const std::vector<Deliver> sent = worker.receive<Deliver>();
    EXPECT_EQ(sent.size(), 1U);
    return sent.at(0);
  };
  const auto answer = [&](FarEnd& worker, std::uint64_t id) {
    worker.send(Outcome{.id = id, .stored = true});
    run();
  };
  start(1, {copy_for(kOne)});
  const Deliver first = sent_to(worker_);
  EXPECT_TRUE(first.alone);
  const std::uint64_t first_id = first.deliveries.at(0).id;

  start(2, {copy_for(kTwo)});
  const Deliver second = sent_to(other_worker_);
  EXPECT_FALSE(second.alone) << "another worker has one";
  answer(other_worker_, second.deliveries.at(0).id);
  answer(worker_, first_id);
  ASSERT_TRUE(deliveries_.none());

  start(3, {copy_for(kOne), copy_for(kOne)});
  const Deliver two_copies = sent_to(worker_);
  EXPECT_FALSE(two_copies.alone);
  const std::uint64_t copy = two_copies.deliveries.at(0).id;
  answer(worker_, copy);
  answer(worker_, copy + 1);
  ASSERT_TRUE(deliveries_.none());

  start(4, {copy_for(kTwo)});
  EXPECT_TRUE(sent_to(other_worker_).alone);
}

TEST_F(DeliveriesTest, PassALargeBodyAsADescriptorWithinItsWindow) {
  deliveries_.introduce(kOne, worker_.open());
  const std::string large(kInlineBody + 1, 'x');
  for (std::uint64_t i = 0; i < kDescriptorWindow + 1; ++i) start(i, {copy_for(kOne)}, large);
  run();
  const std::vector<Deliver> sent = worker_.receive<Deliver>();
  ASSERT_EQ(sent.size(), kDescriptorWindow);
  EXPECT_TRUE(sent[0].body.empty());
  EXPECT_EQ(sent[0].body_size, large.size());
  EXPECT_EQ(worker_.packet().frames()[0].descriptors.size(), 1U);
  worker_.send(Outcome{.id = sent[0].deliveries[0].id, .stored = true});
  run();
  EXPECT_EQ(worker_.receive<Deliver>().size(), 1U);
}

TEST_F(DeliveriesTest, CountDescriptorsAsTheWorkerDoesOnceForEachMessageOfTheChannel) {
  deliveries_.introduce(kOne, worker_.open());
  const std::string large(kInlineBody + 1, 'x');
  constexpr std::size_t kCopies = kDeliveryWindow / kDescriptorWindow;
  for (std::uint64_t i = 0; i < kDescriptorWindow - 1; ++i) {
    start(i, std::vector<session::Copy>(kCopies, copy_for(kOne)), large);
  }
  start(20, {copy_for(kOne)}, large);
  start(21, {copy_for(kOne)}, large);  // whose descriptor is one too many
  start(22, {copy_for(kOne)});
  run();
  const std::vector<Deliver> sent = worker_.receive<Deliver>();
  ASSERT_EQ(sent.size(), kDescriptorWindow);
  // The body of the first is the worker's until its last copy is answered.
  std::vector<std::uint64_t> ids;
  for (const auto& copy : sent[0].deliveries) ids.push_back(copy.id);
  ASSERT_EQ(ids.size(), kCopies);
  while (ids.size() > 1) {
    worker_.send(Outcome{.id = ids.back(), .stored = true});
    ids.pop_back();
  }
  run();
  EXPECT_TRUE(worker_.receive<Deliver>().empty());
  worker_.send(Outcome{.id = ids.back(), .stored = true});
  run();
  EXPECT_EQ(worker_.receive<Deliver>().size(), 2U);
}

TEST_F(DeliveriesTest, KeepWithinTheWindow) {
  deliveries_.introduce(kOne, worker_.open());
  start(1, std::vector<session::Copy>(kDeliveryWindow + 5, copy_for(kOne)));
  run();
  const std::vector<Deliver> sent = worker_.receive<Deliver>();
  ASSERT_EQ(sent.size(), 1U);
  ASSERT_EQ(sent[0].deliveries.size(), kDeliveryWindow);
  EXPECT_TRUE(worker_.receive<Deliver>().empty());
  worker_.send(Outcome{.id = sent[0].deliveries[0].id, .stored = true});
  run();
  EXPECT_EQ(worker_.receive<Deliver>().at(0).deliveries.size(), 1U);
}

TEST_F(DeliveriesTest, SplitWhatAMessageOfTheChannelCannotHold) {
  deliveries_.introduce(kOne, worker_.open());
  const std::string headers(20'000, 'h');
  start(1, std::vector<session::Copy>(20, copy_for(kOne, headers)), std::string(kInlineBody, 'x'));
  std::size_t copies = 0;
  for (int i = 0; i < 20; ++i) {
    run();
    for (const Deliver& sent : worker_.receive<Deliver>()) copies += sent.deliveries.size();
  }
  EXPECT_EQ(copies, 20U);
}

TEST_F(DeliveriesTest, KeepBodiesOutOfTheChannelOfAWorkerThatDoesNotRead) {
  deliveries_.introduce(kOne, worker_.open());
  for (std::uint64_t i = 0; i < kDeliveryWindow; ++i) {
    start(i, {copy_for(kOne)}, std::string(kInlineBody, 'x'));
  }
  run();
  deliveries_.expire(Clock::now() + Deliveries::kDeadline, false);
  const auto waited = times_counted(Counter::owner_deferrals);
  EXPECT_GT(waited, 0) << "all were put into the channel";
}

TEST_F(DeliveriesTest, GoOnWhenTheChannelHasRoomAgain) {
  deliveries_.introduce(kOne, worker_.open());
  for (std::uint64_t i = 0; i < kDeliveryWindow; ++i) {
    start(i, {copy_for(kOne)}, std::string(kInlineBody, 'x'));
  }
  std::size_t received = 0;
  for (std::size_t i = 0; i < kDeliveryWindow; ++i) {
    run();
    received += worker_.receive<Deliver>().size();
  }
  EXPECT_EQ(received, kDeliveryWindow) << "without an outcome";
}

TEST_F(DeliveriesTest, FailWhatADeadWorkerHadAndSendTheRestToTheNext) {
  deliveries_.introduce(kOne, worker_.open());
  start(1, std::vector<session::Copy>(kDeliveryWindow + 1, copy_for(kOne)));
  run();
  worker_.close();
  run();
  ASSERT_EQ(done_.size(), kDeliveryWindow);
  for (const Done& one : done_) EXPECT_EQ(one.outcome.error().reason, Reason::io);
  EXPECT_EQ(wanted_, (std::vector<MailboxOwner>{kOne}));
  deliveries_.introduce(kOne, worker_.open());
  run();
  EXPECT_EQ(worker_.receive<Deliver>().at(0).deliveries.size(), 1U);
}

TEST_F(DeliveriesTest, AnswerWhatIsOnAChannelBeforeASecondOneIsUsed) {
  deliveries_.introduce(kOne, worker_.open());
  start(1, {copy_for(kOne)});
  run();
  const std::uint64_t id = worker_.receive<Deliver>().at(0).deliveries.at(0).id;
  deliveries_.introduce(kOne, other_worker_.open());
  start(2, {copy_for(kOne)});
  run();
  EXPECT_TRUE(done_.empty());
  EXPECT_TRUE(worker_.receive<Deliver>().empty());
  EXPECT_TRUE(other_worker_.receive<Deliver>().empty());
  worker_.send(Outcome{.id = id, .stored = true});
  run();
  ASSERT_EQ(done_.size(), 1U);
  EXPECT_TRUE(done_[0].outcome);
  EXPECT_TRUE(worker_.closed());
  EXPECT_EQ(other_worker_.receive<Deliver>().size(), 1U);
  EXPECT_TRUE(wanted_.empty());
}

TEST_F(DeliveriesTest, HearAWorkerOutThatEndedBeforeItsSuccessorCame) {
  deliveries_.introduce(kOne, worker_.open());
  start(1, {copy_for(kOne), copy_for(kOne)});
  run();
  const std::uint64_t id = worker_.receive<Deliver>().at(0).deliveries.at(0).id;
  worker_.send(Outcome{.id = id, .stored = true});
  worker_.close();
  deliveries_.introduce(kOne, other_worker_.open());
  start(2, {copy_for(kOne)});
  run();
  ASSERT_EQ(done_.size(), 2U);
  EXPECT_TRUE(done_[0].outcome);
  EXPECT_EQ(done_[1].outcome.error().reason, Reason::io);
  EXPECT_EQ(other_worker_.receive<Deliver>().size(), 1U);
  EXPECT_TRUE(wanted_.empty());
}

TEST_F(DeliveriesTest, GoOverToASecondChannelAtOnceWhereNothingIsUnderWay) {
  deliveries_.introduce(kOne, worker_.open());
  deliveries_.introduce(kOne, other_worker_.open());
  start(1, {copy_for(kOne)});
  run();
  EXPECT_TRUE(worker_.closed());
  EXPECT_EQ(other_worker_.receive<Deliver>().size(), 1U);
}

TEST_F(DeliveriesTest, SendNothingAfterLeavingAndSayLeft) {
  deliveries_.introduce(kOne, worker_.open());
  start(1, {copy_for(kOne)});
  run();
  const std::uint64_t first = worker_.receive<Deliver>().at(0).deliveries.at(0).id;
  worker_.send(Leaving{});
  run();
  EXPECT_EQ(worker_.receive<Left>().size(), 1U);
  start(2, {copy_for(kOne)});
  run();
  EXPECT_TRUE(worker_.receive<Deliver>().empty());
  EXPECT_TRUE(wanted_.empty());
  worker_.send(Outcome{.id = first, .stored = true});
  run();
  ASSERT_EQ(done_.size(), 1U);
  EXPECT_TRUE(done_[0].outcome);
  worker_.close();
  run();
  EXPECT_EQ(wanted_, (std::vector<MailboxOwner>{kOne}));
  EXPECT_EQ(done_.size(), 1U);
}

TEST_F(DeliveriesTest, CloseTheChannelOfALeavingWorkerThatASecondOneReplacesOnceAllIsAnswered) {
  deliveries_.introduce(kOne, worker_.open());
  start(1, {copy_for(kOne), copy_for(kOne)});
  run();
  const std::uint64_t first = worker_.receive<Deliver>().at(0).deliveries.at(0).id;
  deliveries_.introduce(kOne, other_worker_.open());
  worker_.send(Leaving{});
  worker_.send(Outcome{.id = first, .stored = true});
  run();
  EXPECT_TRUE(worker_.receive<Left>().empty());
  ASSERT_FALSE(worker_.closed());
  start(2, {copy_for(kOne)});
  worker_.send(Outcome{.id = first + 1, .stored = true});
  run();
  EXPECT_TRUE(worker_.closed());
  EXPECT_TRUE(expelled_.empty());
  EXPECT_EQ(done_.size(), 2U);
  EXPECT_EQ(other_worker_.receive<Deliver>().size(), 1U);
}

TEST_F(DeliveriesTest, ExpelAWorkerThatSaysLeavingTwice) {
  deliveries_.introduce(kOne, worker_.open());
  worker_.send(Leaving{});
  worker_.send(Leaving{});
  run();
  EXPECT_EQ(expelled_, (std::vector<MailboxOwner>{kOne}));
}

TEST_F(DeliveriesTest, ExpelAWorkerThatAnswersWhatItWasNotGiven) {
  deliveries_.introduce(kOne, worker_.open());
  start(1, {copy_for(kOne)});
  run();
  const std::uint64_t id = worker_.receive<Deliver>().at(0).deliveries.at(0).id;
  // The other worker's word does not count for this one's delivery.
  deliveries_.introduce(kTwo, other_worker_.open());
  other_worker_.send(Outcome{.id = id, .stored = true});
  run();
  EXPECT_EQ(expelled_, (std::vector<MailboxOwner>{kTwo}));
  EXPECT_TRUE(done_.empty());
  // Nor does a second word of its own.
  worker_.send(Outcome{.id = id, .stored = true});
  worker_.send(Outcome{.id = id, .stored = true});
  run();
  EXPECT_EQ(expelled_, (std::vector<MailboxOwner>{kTwo, kOne}));
  EXPECT_EQ(done_.size(), 1U);
}

TEST_F(DeliveriesTest, FailEverythingThatWaitsWhenMasterRefuses) {
  start(1, {copy_for(kOne), copy_for(kOne)});
  deliveries_.refuse(kOne, {Reason::overload, "too many workers"});
  ASSERT_EQ(done_.size(), 2U);
  EXPECT_EQ(done_[0].outcome.error().reason, Reason::overload);
  start(2, {copy_for(kOne)});
  EXPECT_EQ(wanted_.size(), 2U);
}

TEST_F(DeliveriesTest, AnswerAtTheDeadlineAndTakeTheLateOutcomeForNoFault) {
  deliveries_.introduce(kOne, worker_.open());
  start(1, {copy_for(kOne)});
  start(2, {copy_for(kTwo)});
  run();
  const std::uint64_t id = worker_.receive<Deliver>().at(0).deliveries.at(0).id;
  deliveries_.expire(Clock::now() + Deliveries::kDeadline - std::chrono::seconds(1), false);
  EXPECT_TRUE(done_.empty());
  deliveries_.expire(Clock::now() + Deliveries::kDeadline, false);
  ASSERT_EQ(done_.size(), 2U);
  EXPECT_EQ(done_[0].outcome.error().reason, Reason::io);
  EXPECT_EQ(done_[1].outcome.error().reason, Reason::overload);
  EXPECT_EQ(counted_, std::vector(2, Counter::delivery_timeouts));
  worker_.send(Outcome{.id = id, .stored = true});
  run();
  EXPECT_EQ(done_.size(), 2U);
  EXPECT_FALSE(worker_.closed());
}

TEST_F(DeliveriesTest, ForgetAnOwnerWithoutAWorkerAndWithoutMail) {
  deliveries_.introduce(kOne, worker_.open());
  start(1, {copy_for(kOne), copy_for(kTwo)});
  run();
  deliveries_.expire(Clock::now(), false);
  EXPECT_EQ(deliveries_.owners(), 2U);
  deliveries_.refuse(kTwo, {Reason::overload, "too many workers"});
  deliveries_.expire(Clock::now(), false);
  EXPECT_EQ(deliveries_.owners(), 1U) << "the other has a worker, whose word is still to come";
  worker_.close();
  run();
  deliveries_.expire(Clock::now(), false);
  EXPECT_EQ(deliveries_.owners(), 0U);
  start(2, {copy_for(kOne)});
  EXPECT_EQ(wanted_, (std::vector<MailboxOwner>{kTwo, kOne}));
}

TEST_F(DeliveriesTest, AskAgainForWorkersWhenLookupComesBack) {
  lookup_is_there_ = false;
  start(1, {copy_for(kOne)});
  EXPECT_TRUE(wanted_.empty());
  lookup_is_there_ = true;
  deliveries_.expire(Clock::now(), false);
  EXPECT_EQ(wanted_.size(), 1U);
  deliveries_.forget_wanted();
  deliveries_.expire(Clock::now(), false);
  EXPECT_EQ(wanted_.size(), 2U);
}

}  // namespace
}  // namespace lmtpd::frontend
