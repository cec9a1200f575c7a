#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>

#include "tests/lookup/authenticator_fixture.h"

namespace lmtpd::lookup {
namespace {

using testing::HasSubstr;

TEST_F(AuthenticatorTest, KnowsWhoHasThePassword) {
  EXPECT_EQ(outcome("tim", "pencil"), Kind::accepted);
  EXPECT_EQ(steps_.back().text, "tim");
  EXPECT_EQ(outcome("TIM", "pencil"), Kind::accepted);  // keys are folded, as in every table
  EXPECT_EQ(steps_.back().text, "TIM");
  EXPECT_EQ(outcome("tim", "pen"), Kind::refused);
  EXPECT_EQ(outcome("tom", "pencil"), Kind::refused);
  EXPECT_EQ(steps_.back().text, "");
}

// The time that tells is that of the hashes.
TEST_F(AuthenticatorTest, ComputesOneHashWhoeverTheUserIs) {  // L7
  table_.add("plain", "{PLAIN}pencil");
  table_.add("bare", "pencil");
  table_.add("two", kDes);
  table_.add("two", kDes);
  int expected = 0;
  for (const char* user : {"tim", "nobody", "plain", "bare", "two"}) {
    EXPECT_EQ(outcome(user, "wrong"), Kind::refused);
    EXPECT_EQ(hashes_, ++expected) << user;
  }
  EXPECT_EQ(outcome("plain", "pencil"), Kind::refused);
  EXPECT_EQ(outcome("bare", "pencil"), Kind::refused);
  EXPECT_EQ(outcome("two", "pencil"), Kind::refused);
  EXPECT_EQ(verifiers_, 0);
}

// Several rows beyond expansion_limit, or not UTF-8.
TEST_F(AuthenticatorTest, WhatATableHasAndCannotBeUsedIsRefusedAsNobodyIs) {  // L7
  const int before = hashes_;
  EXPECT_EQ(outcome("nobody", "wrong"), Kind::refused);
  EXPECT_EQ(hashes_, before + 1);
  table_.spoil();
  testing::internal::CaptureStderr();
  EXPECT_EQ(outcome("tim", "pencil"), Kind::refused);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("failed: not valid UTF-8, "));
  EXPECT_EQ(hashes_, before + 2);
}

TEST_F(AuthenticatorTest, NorDoesScramTellThatItCannotBeUsed) {  // L7
  const std::string salt = server_first("tim");
  table_.spoil();
  EXPECT_EQ(server_first("tim"), salt);
  const std::string proof = challenged(101, "tim");
  EXPECT_TRUE(authenticator_.respond(*this, 101, proof));
  ASSERT_EQ(steps_.size(), 4U);
  EXPECT_EQ(steps_.back().kind, Kind::refused);
}

// As unusable stored passwords do.
TEST_F(AuthenticatorTest, WhatCannotBeUsedCountsInTheFirstTableOnly) {
  second_table_.spoil();
  EXPECT_EQ(outcome("tim", "pencil"), Kind::accepted);
  EXPECT_EQ(outcome("nobody", "pencil"), Kind::refused);
  second_table_.mend();
  table_.spoil();
  EXPECT_EQ(outcome("sue", "pencil"), Kind::refused);
}

// Whose password it may be that the last hash met was of.
TEST_F(AuthenticatorTest, NobodyIsLetInByAnothersPassword) {
  EXPECT_EQ(outcome("tim", "pencil"), Kind::accepted);
  EXPECT_EQ(outcome("nobody", "pencil"), Kind::refused);
}

// As of one who is there, whoever was met in between.
TEST_F(AuthenticatorTest, AUsersHashIsOfOneKindEachTimeWhoeverHeIs) {  // L7
  table_.add("ann",
             "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,"
             "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
             "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
  const auto costs_a_verifier = [this](const std::string& user, Kind kind = Kind::refused) {
    const int before = verifiers_;
    EXPECT_EQ(outcome(user, kind == Kind::refused ? "wrong" : "pencil"), kind);
    return verifiers_ > before;
  };
  EXPECT_FALSE(costs_a_verifier("tim", Kind::accepted));
  EXPECT_TRUE(costs_a_verifier("ann", Kind::accepted));
  std::string like_ann;
  std::string like_tim;
  for (int i = 0; like_ann.empty() || like_tim.empty(); ++i) {
    const std::string user = "nobody" + std::to_string(i);
    (costs_a_verifier(user) ? like_ann : like_tim) = user;
  }
  EXPECT_FALSE(costs_a_verifier(like_tim));
  EXPECT_FALSE(costs_a_verifier("tim", Kind::accepted));
  table_.add(like_ann, "{PLAIN}pencil");  // is as good as not there
  EXPECT_TRUE(costs_a_verifier(like_ann));
}

TEST_F(AuthenticatorTest, ScramShowsNoDifferenceEither) {  // L7
  table_.add("ann",
             "{SCRAM-SHA-256}1000,W22ZaJ0SNY7soEsU,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
             "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
  EXPECT_EQ(server_first("ann"), ",s=W22ZaJ0SNY7soEsU,i=1000");
  const std::string nobody = server_first("nobody");
  EXPECT_EQ(nobody.size(), server_first("ann").size());
  EXPECT_TRUE(nobody.ends_with(",i=1000")) << nobody;
  EXPECT_EQ(server_first("nobody"), nobody);
  EXPECT_NE(server_first("nobody2"), nobody);
  EXPECT_TRUE(server_first("tim").ends_with(",i=1000"));  // a hash of crypt(5)
  // Another kind is another's: of the names some take it, and keep it.
  table_.add("bob",
             "{SCRAM-SHA-256}2000,W22ZaJ0SNY7soEsU,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
             "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
  EXPECT_TRUE(server_first("bob").ends_with(",i=2000"));
  std::map<std::string, std::string> shown;
  for (int i = 0; i < 20; ++i) shown["user" + std::to_string(i)];
  for (auto& [user, first] : shown) first = server_first(user);
  for (const auto* iterations : {",i=1000", ",i=2000"}) {
    EXPECT_GT(std::ranges::count_if(
                  shown, [&](const auto& each) { return each.second.ends_with(iterations); }),
              2);
  }
  server_first("ann");
  for (const auto& [user, first] : shown) EXPECT_EQ(server_first(user), first);
  EXPECT_EQ(hashes_ + verifiers_, 0);
}

TEST_F(AuthenticatorTest, WhoIsNotThereIsRefusedAtTheProof) {
  const std::string proof = challenged(1, "nobody");
  EXPECT_TRUE(authenticator_.respond(*this, 1, proof));
  ASSERT_EQ(steps_.size(), 2U);
  EXPECT_EQ(steps_[1].kind, Kind::refused);
}

TEST_F(AuthenticatorTest, ATableThatIsAwayIsNoRefusal) {  // L8
  table_.fail();
  EXPECT_EQ(outcome("tim", "pencil"), Kind::unavailable);
  table_.mend();
  EXPECT_EQ(outcome("tim", "pencil"), Kind::accepted);
  EXPECT_EQ(hashes_, 1);
}

TEST_F(AuthenticatorTest, WaitsForTablesThatAnswerLater) {
  Rounds rounds;
  table_.answer_in(&rounds);
  plain(1, "tim", "pencil");
  EXPECT_TRUE(steps_.empty());
  rounds.play_all();
  wait_for(1);
  EXPECT_EQ(steps_[0].kind, Kind::accepted);
  // Its client is gone meanwhile.
  plain(2, "tim", "pencil");
  authenticator_.end(*this, 2);
  rounds.play_all();
  plain(3, "tim", "pencil");
  authenticator_.abandon(*this);
  rounds.play_all();
  EXPECT_EQ(steps_.size(), 1U);
  EXPECT_EQ(hashes_, 1);
}

// It may have the address of the one before it, and counts from 1 as that did.
TEST_F(AuthenticatorTest, ANewClientHearsNothingThatAnotherAskedFor) {
  plain(1, "tim", "pencil");
  authenticator_.abandon(*this);
  plain(1, "nobody", "wrong", "192.0.2.2");
  while (steps_.empty() || hashes_ < 2) event_base_loop(base_.get(), EVLOOP_NONBLOCK);
  EXPECT_EQ(steps_[0].kind, Kind::refused);
  Rounds rounds;
  table_.answer_in(&rounds);
  plain(2, "tim", "pencil", "192.0.2.3");
  authenticator_.abandon(*this);
  begin(2, "LOGIN", "nobody", "192.0.2.4");
  EXPECT_EQ(steps_.back().kind, Kind::challenge);
  rounds.play_all();
  EXPECT_EQ(steps_.size(), 2U);
  table_.answer_in(nullptr);
  EXPECT_TRUE(authenticator_.respond(*this, 2, "wrong"));
  wait_for(3);
  EXPECT_EQ(steps_.back().kind, Kind::refused);
}

// The next attempt of the same address, or with the same name, does not so much as ask a table.
TEST_F(AuthenticatorTest, AfterAFailureTheNextAttemptWaits) {
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t id = 0;
  // Each failure doubles the wait, for a machine on which the first are over too soon.
  for (int failures = 0; failures < 3; ++failures) {
    plain(++id, "tim", "wrong", "192.0.2.1");
    wait_for(steps_.size() + 1);
  }
  const std::size_t told = steps_.size();
  const int asked = table_.asked();
  plain(11, "other", "pencil", "192.0.2.1");
  plain(12, "tim", "pencil", "192.0.2.2");
  event_base_loop(base_.get(), EVLOOP_NONBLOCK);
  EXPECT_EQ(table_.asked(), asked);
  plain(13, "other", "pencil", "192.0.2.3");
  wait_for(told + 1);
  EXPECT_EQ(steps_.back().id, 13U);  // a stranger to both does not
  wait_for(told + 3);
  EXPECT_GT(std::chrono::steady_clock::now() - start, 6 * FailureRecord::kFirstWait);
}

// Of those that come at once, none is looked at before the one in front of it is known to be good.
TEST_F(AuthenticatorTest, ABurstOfOneAddressIsLookedAtOneByOne) {
  const int asked = table_.asked();
  for (std::uint64_t id = 1; id <= 20; ++id) plain(id, "u" + std::to_string(id), "wrong");
  EXPECT_EQ(table_.asked(), asked + 1);
  plain(21, "tim", "pencil", "192.0.2.2");  // another address has a queue of its own
  EXPECT_EQ(table_.asked(), asked + 2);
  while (std::ranges::find(steps_, 1U, &Step::id) == steps_.end()) wait_for(steps_.size() + 1);
  EXPECT_EQ(table_.asked(), asked + 2);  // the second waits for the time of that failure
  authenticator_.abandon(*this);
}

// What bans an address by the log needs all of it.
TEST_F(AuthenticatorTest, LogsTheWholeAddressAndCountsItsNetwork) {
  testing::internal::CaptureStderr();
  plain(1, "u1", "wrong", "2001:db8:1:2:3:4:5:6");
  plain(2, "u2", "wrong", "2001:db8:1:2::7");
  wait_for(2);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("client=2001:db8:1:2:3:4:5:6: SASL PLAIN authentication failed: "
                             "no such user, sasl_username=u1, failures=1"));
  EXPECT_THAT(log, HasSubstr("client=2001:db8:1:2::7: SASL PLAIN authentication failed: "
                             "no such user, sasl_username=u2, failures=2"));
}

TEST_F(AuthenticatorTest, WhoHasThePasswordHoldsUpNobodyBehindHim) {
  for (std::uint64_t id = 1; id <= 20; ++id) plain(id, "tim", "pencil");
  wait_for(20);
  for (std::uint64_t id = 1; id <= 20; ++id) {
    EXPECT_EQ(steps_[id - 1].id, id);
    EXPECT_EQ(steps_[id - 1].kind, Kind::accepted);
  }
}

TEST_F(AuthenticatorTest, ABurstOfProofsIsNoWayRound) {
  const std::string first = challenged(1, "ann");
  const std::string second = challenged(2, "bob");
  EXPECT_TRUE(authenticator_.respond(*this, 1, first));
  EXPECT_TRUE(authenticator_.respond(*this, 2, second));
  ASSERT_EQ(steps_.size(), 3U);
  EXPECT_EQ(steps_[2].id, 1U);
  EXPECT_EQ(steps_[2].kind, Kind::refused);
  wait_for(4);
  EXPECT_EQ(steps_[3].kind, Kind::refused);
}

// But what is asked for him is answered first, or he could have any number asked at a time.
TEST_F(AuthenticatorTest, WhoLeavesTheQueueHoldsUpNobodyBehindHim) {
  Rounds rounds;
  table_.answer_in(&rounds);
  for (std::uint64_t id = 1; id <= 4; ++id) plain(id, "tim", "pencil");
  EXPECT_EQ(rounds.waiting(), 1U);
  authenticator_.end(*this, 2);
  authenticator_.end(*this, 1);
  EXPECT_TRUE(authenticator_.respond(*this, 1, "late"));
  authenticator_.end(*this, 1);
  event_base_loop(base_.get(), EVLOOP_NONBLOCK);
  EXPECT_EQ(rounds.waiting(), 1U);
  rounds.play_all();
  while (rounds.idle()) event_base_loop(base_.get(), EVLOOP_ONCE);
  authenticator_.end(*this, 4);
  rounds.play_all();
  wait_for(1);
  EXPECT_EQ(steps_[0].id, 3U);
  EXPECT_EQ(steps_[0].kind, Kind::accepted);
  EXPECT_EQ(hashes_, 1);
}

// Whoever leaves while his hash is computed has it counted, before the next one's is computed.
TEST_F(AuthenticatorTest, WhoLeavesHisHashKeepsHisTurnUntilItIsKnown) {
  plain(1, "tim", "wrong");
  authenticator_.end(*this, 1);
  const int asked = table_.asked();
  plain(2, "sue", "pencil");
  EXPECT_EQ(table_.asked(), asked);
  wait_for(1);
  EXPECT_EQ(steps_[0].id, 2U);
  EXPECT_EQ(steps_[0].kind, Kind::accepted);
  EXPECT_EQ(hashes_, 2);
}

// However many connections it makes, whatever the mechanism, and though its clients leave: so a
// slow database's queue is the others' too, for AUTH and for RCPT.
TEST_F(AuthenticatorTest, AnAddressHasOneQuestionAtATime) {
  Rounds rounds;
  table_.answer_in(&rounds);
  for (std::uint64_t id = 1; id <= 30; ++id) {
    if (id % 2 == 0) {
      plain(id, fmt::format("user{}", id), "wrong");
    } else {
      begin(id, "SCRAM-SHA-256", fmt::format("n,,n=user{},r=abc", id));
    }
    if (id % 3 != 0) authenticator_.end(*this, id);
  }
  event_base_loop(base_.get(), EVLOOP_NONBLOCK);
  EXPECT_EQ(rounds.waiting(), 1U);
  plain(31, "tim", "pencil", "192.0.2.2");
  EXPECT_EQ(rounds.waiting(), 2U);
  rounds.play_all();
  wait_for(1);
  EXPECT_EQ(steps_[0].id, 31U);
  EXPECT_EQ(steps_[0].kind, Kind::accepted);
}

// It tells nothing, and waits for its proof anyway.
TEST_F(AuthenticatorTest, ScramsFirstMessageDoesNotWaitForTheTimeOfFailures) {
  plain(1, "ann", "wrong");
  wait_for(1);
  begin(2, "SCRAM-SHA-256", "n,,n=ann,r=abc");
  ASSERT_EQ(steps_.size(), 2U);
  EXPECT_EQ(steps_[1].kind, Kind::challenge);
}

// L7: where there are several, it does not show which of them has the user.
TEST_F(AuthenticatorTest, AsksEveryTableWhoeverTheUserIs) {
  for (const char* user : {"tim", "sue", "nobody"}) {
    EXPECT_EQ(asked_for(user), (std::vector{1, 1})) << user;
  }
  EXPECT_EQ(outcome("tim", "pencil"), Kind::accepted);  // the first that has him counts
  EXPECT_EQ(outcome("sue", "pencil"), Kind::accepted);
}

// L8: nor while one of them is away.
TEST_F(AuthenticatorTest, NeedsTheAnswerOfEveryTable) {
  second_table_.fail();
  for (const char* user : {"tim", "sue", "nobody"}) {
    EXPECT_EQ(outcome(user, "pencil"), Kind::unavailable) << user;
  }
  EXPECT_EQ(hashes_, 0);
}

TEST_F(AuthenticatorTest, RefusesAMechanismThatIsNotAllowed) {
  begin(1, "CRAM-MD5", "");
  ASSERT_EQ(steps_.size(), 1U);
  EXPECT_EQ(steps_[0].kind, Kind::refused);
}

TEST_F(AuthenticatorTest, AnIdIsNotUsedTwice) {
  plain(2, "tim", "pencil");
  wait_for(1);
  EXPECT_FALSE(authenticator_.begin(*this, {.id = 2, .mechanism = "PLAIN"}));
  EXPECT_FALSE(authenticator_.begin(*this, {.id = 1, .mechanism = "PLAIN"}));
  EXPECT_TRUE(authenticator_.begin(*this, {.id = 3, .mechanism = "PLAIN"}));
}

TEST_F(AuthenticatorTest, AClientMaySpeakOnlyInTurn) {
  EXPECT_FALSE(authenticator_.respond(*this, 1, ""));
  Rounds rounds;
  table_.answer_in(&rounds);
  plain(1, "tim", "pencil");
  EXPECT_FALSE(authenticator_.respond(*this, 1, ""));
  EXPECT_FALSE(authenticator_.begin(*this, {.id = 1, .mechanism = "PLAIN"}));
  authenticator_.abandon(*this);
  rounds.play_all();
}

}  // namespace
}  // namespace lmtpd::lookup
