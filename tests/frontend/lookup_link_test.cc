#include "lmtpd/frontend/lookup_link.h"

#include <gtest/gtest.h>

#include "tests/frontend/far_end.h"

namespace lmtpd::frontend {
namespace {

class LookupLinks : public testing::Test, public LookupLink::Asker {
 protected:
  struct Answer {
    std::uint64_t connection;
    std::uint64_t request;
    Result<std::vector<session::Mailbox>> mailboxes;
  };
  void on_resolved(std::uint64_t connection, std::uint64_t request,
                   Result<std::vector<session::Mailbox>> mailboxes) override {
    answers_.push_back({connection, request, std::move(mailboxes)});
  }
  void on_lookup_window() override { ++windows_; }
  void on_lookup_lost() override { ++lost_; }

  const EventBasePtr base_{event_base_new()};
  LookupLink link_{base_.get(), *this};
  FarEnd lookup_;
  std::vector<Answer> answers_;
  int windows_ = 0;
  int lost_ = 0;
};

TEST_F(LookupLinks, SendAllOfOneTurnInOnePacketAndAnswerById) {
  link_.connect(lookup_.open());
  link_.resolve(7, 1, "a@d.org");
  link_.resolve(8, 1, "b@d.org");
  run_loop(base_.get());
  const std::vector<Resolve> asked = lookup_.receive<Resolve>();
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[1].address, "b@d.org");

  const std::string ticket = seal_ticket(
      make_ticket_key(),
      {MailboxOwner{Uid(1001), Gid(1001)}, *MailboxPath::parse("d.org/b/"), Clock::now()});
  lookup_.send(Resolved{.id = asked[1].id, .targets = {{ticket, "b@d.org"}}});
  lookup_.send(Resolved{.id = asked[0].id, .reason = Reason::unknown_user, .text = "no such user"});
  run_loop(base_.get());
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_EQ(answers_[0].connection, 8U);
  ASSERT_TRUE(answers_[0].mailboxes);
  EXPECT_EQ(answers_[0].mailboxes->at(0).path, "d.org/b");
  EXPECT_EQ(answers_[0].mailboxes->at(0).ticket, ticket);
  EXPECT_EQ(answers_[1].connection, 7U);
  EXPECT_EQ(answers_[1].mailboxes.error().reason, Reason::unknown_user);
}

TEST_F(LookupLinks, FailWhatIsUnderWayWhenLookupIsLostAndGoOnWithANewOne) {
  link_.connect(lookup_.open());
  link_.resolve(1, 1, "a@d.org");
  run_loop(base_.get());
  lookup_.close();
  run_loop(base_.get());
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].mailboxes.error().reason, Reason::lookup_failed);
  EXPECT_EQ(lost_, 1);

  // Without a channel: not from within resolve(), but at the next tick.
  link_.resolve(1, 2, "a@d.org");
  EXPECT_EQ(answers_.size(), 1U);
  link_.expire(Clock::now());
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_EQ(answers_[1].mailboxes.error().reason, Reason::lookup_failed);

  link_.connect(lookup_.open());
  link_.resolve(1, 3, "a@d.org");
  run_loop(base_.get());
  EXPECT_EQ(lookup_.receive<Resolve>().size(), 1U);
}

TEST_F(LookupLinks, AnswerAtTheDeadlineAndTakeTheLateWordForNoFault) {
  link_.connect(lookup_.open());
  link_.resolve(1, 1, "a@d.org");
  run_loop(base_.get());
  const std::uint64_t id = lookup_.receive<Resolve>().at(0).id;
  link_.expire(Clock::now() + LookupLink::kDeadline - std::chrono::seconds(1));
  EXPECT_TRUE(answers_.empty());
  link_.expire(Clock::now() + LookupLink::kDeadline);
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].mailboxes.error().reason, Reason::lookup_failed);
  lookup_.send(Resolved{.id = id, .reason = Reason::unknown_user});
  run_loop(base_.get());
  EXPECT_EQ(answers_.size(), 1U);
  EXPECT_EQ(lost_, 0);
}

TEST_F(LookupLinks, HoldBackWhatTheWindowCannotTake) {
  link_.connect(lookup_.open());
  for (std::uint64_t i = 0; i < kResolveWindow + 1; ++i) link_.resolve(1, i, "a@d.org");
  EXPECT_TRUE(link_.full());
  std::vector<Resolve> asked;
  for (int i = 0; i < 200 && asked.size() < kResolveWindow; ++i) {
    run_loop(base_.get());
    for (const Resolve& one : lookup_.receive<Resolve>()) asked.push_back({one.id, ""});
  }
  ASSERT_EQ(asked.size(), kResolveWindow);
  EXPECT_TRUE(lookup_.receive<Resolve>().empty());
  lookup_.send(Resolved{.id = asked[0].id, .reason = Reason::unknown_user});
  lookup_.send(Resolved{.id = asked[1].id, .reason = Reason::unknown_user});
  run_loop(base_.get());
  EXPECT_EQ(lookup_.receive<Resolve>().size(), 1U);
  EXPECT_FALSE(link_.full());
  EXPECT_GE(windows_, 1);
}

TEST_F(LookupLinks, TellThatThereIsRoomOnceWhatWaitedForALookupIsSent) {
  link_.resolve(7, 1, "a@d.org");
  EXPECT_TRUE(link_.full());
  link_.connect(lookup_.open());
  EXPECT_FALSE(link_.full());
  EXPECT_EQ(windows_, 1);
}

TEST_F(LookupLinks, TellThatThereIsRoomOnceWhatWaitedForALookupIsAnswered) {
  link_.resolve(7, 1, "a@d.org");
  link_.expire(Clock::now());
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_FALSE(link_.full());
  EXPECT_EQ(windows_, 1);
}

TEST_F(LookupLinks, TellThatThereIsRoomOnceAFullWindowIsLostWithItsLookup) {
  link_.connect(lookup_.open());
  for (std::size_t i = 0; i < kResolveWindow; ++i) link_.resolve(7, i, "a@d.org");
  run_loop(base_.get());
  EXPECT_TRUE(link_.full());
  lookup_.close();
  run_loop(base_.get());
  EXPECT_EQ(answers_.size(), kResolveWindow);
  EXPECT_FALSE(link_.full());
  EXPECT_EQ(windows_, 1);
}

TEST_F(LookupLinks, EndTheChannelOfALookupThatAnswersWhatWasNotAsked) {
  link_.connect(lookup_.open());
  lookup_.send(Resolved{.id = 99, .reason = Reason::unknown_user});
  run_loop(base_.get());
  EXPECT_EQ(lost_, 1);
  EXPECT_TRUE(lookup_.closed());
}

}  // namespace
}  // namespace lmtpd::frontend
