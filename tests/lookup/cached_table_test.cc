#include "lookup/cached_table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/lookup/fake_table.h"

namespace lmtpd::lookup {
namespace {

using std::chrono::seconds;

class Ear final : public Asker {
 public:
  void on_answer(std::uint64_t id, const Answer& answer) override {
    heard.emplace_back(id, answer);
    if (then) then();
  }
  std::vector<std::pair<std::uint64_t, Answer>> heard;
  std::function<void()> then;
};

class CachedTables : public testing::Test {
 protected:
  CachedTables() {
    auto behind = std::make_unique<FakeTable>(
        "fake:", FakeTable::Rows{{"a", "1"}, {"b", "2"}, {"many", "x"}, {"many", "y"}});
    behind_ = behind.get();
    behind_->of(database_);
    table_ = std::make_unique<CachedTable>(std::move(behind), shared_, 0);
  }
  std::optional<Answer> ask(std::string_view key, std::uint64_t id = 0) {
    return table_->lookup(key, ear_, id);
  }

  // Until the database's Availability has seen that.
  void lose_patience() {
    now_ += Availability::kPatience;
    while (!database_.is_away()) event_base_loop(base_.get(), EVLOOP_ONCE);
    event_base_loop(base_.get(), EVLOOP_NONBLOCK);
  }

  Clock::time_point now_;
  AnswerCache cache_{AnswerCache::Limits{100, 1'000'000, seconds(300), seconds(10)},
                     [this] { return now_; }};
  EventBasePtr base_{event_base_new()};
  Availability database_{base_.get(), [this] { return now_; }};
  RecentChanges changes_;
  CachedTable::Shared shared_{cache_, changes_};
  FakeTable* behind_;
  std::unique_ptr<CachedTable> table_;
  Ear ear_;
  Rounds rounds_;
};

TEST_F(CachedTables, AskOnceWhileTheAnswerLives) {
  EXPECT_EQ(ask("a"), Answer(Found{{"1"}}));
  EXPECT_EQ(ask("many"), Answer(Found{{"x", "y"}}));
  now_ += seconds(297);
  EXPECT_EQ(ask("a"), Answer(Found{{"1"}}));
  EXPECT_EQ(ask("many"), Answer(Found{{"x", "y"}}));
  EXPECT_EQ(behind_->asked(), 2);
  now_ += seconds(3);
  EXPECT_EQ(ask("a"), Answer(Found{{"1"}}));
  EXPECT_EQ(behind_->asked(), 3);
}

// Nobody waits for an answer that is in use, and the table is asked once.
TEST_F(CachedTables, AskAnewBeforeAnAnswerEndsThatIsInUse) {
  EXPECT_TRUE(ask("a"));
  EXPECT_TRUE(ask("nobody"));
  behind_->answer_in(&rounds_);
  now_ += seconds(9);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask("nobody"), Answer(Absent{}));
  EXPECT_EQ(behind_->asked(), 3);
  rounds_.play();
  now_ += seconds(2);
  EXPECT_EQ(ask("nobody"), Answer(Absent{}));
  EXPECT_EQ(behind_->asked(), 3);

  now_ += seconds(288);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask("a"), Answer(Found{{"1"}}));
  EXPECT_EQ(behind_->asked(), 4);
  rounds_.play();
  now_ += seconds(200);
  EXPECT_EQ(ask("a"), Answer(Found{{"1"}}));
  EXPECT_EQ(behind_->asked(), 4);
  EXPECT_TRUE(ear_.heard.empty());
}

TEST_F(CachedTables, KeepAbsenceForItsOwnTime) {
  EXPECT_EQ(ask("nobody"), Answer(Absent{}));
  now_ += seconds(7);
  EXPECT_EQ(ask("nobody"), Answer(Absent{}));
  EXPECT_EQ(behind_->asked(), 1);
  now_ += seconds(3);
  EXPECT_EQ(ask("nobody"), Answer(Absent{}));
  EXPECT_EQ(behind_->asked(), 2);
}

TEST_F(CachedTables, NeverKeepAFailure) {
  behind_->fail();
  EXPECT_TRUE(std::holds_alternative<Unavailable>(*ask("a")));
  EXPECT_TRUE(std::holds_alternative<Unavailable>(*ask("a")));
  EXPECT_EQ(behind_->asked(), 2);

  behind_->answer_in(&rounds_);
  EXPECT_FALSE(ask("a"));
  rounds_.play();
  EXPECT_FALSE(ask("a"));
  EXPECT_EQ(behind_->asked(), 4);
  EXPECT_EQ(cache_.size(), 0U);
}

TEST_F(CachedTables, AskOnceForManyAskers) {
  behind_->answer_in(&rounds_);
  Ear others[20];
  EXPECT_FALSE(ask("a", 7));
  for (Ear& other : others) EXPECT_FALSE(table_->lookup("a", other, 8));
  EXPECT_EQ(behind_->asked(), 1);
  EXPECT_TRUE(ear_.heard.empty());
  rounds_.play();
  ASSERT_EQ(ear_.heard.size(), 1U);
  EXPECT_EQ(ear_.heard[0], std::pair(std::uint64_t{7}, Answer(Found{{"1"}})));
  for (const Ear& other : others) {
    ASSERT_EQ(other.heard.size(), 1U);
    EXPECT_EQ(other.heard[0].first, 8U);
  }
  EXPECT_EQ(ask("a"), Answer(Found{{"1"}}));
}

TEST_F(CachedTables, TellAllAskersOfAFailureToo) {
  behind_->answer_in(&rounds_);
  behind_->fail();
  EXPECT_FALSE(ask("a", 1));
  EXPECT_FALSE(ask("a", 2));
  rounds_.play();
  ASSERT_EQ(ear_.heard.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<Unavailable>(ear_.heard[1].second));
}

TEST_F(CachedTables, MayBeAskedAgainFromTheAnswer) {
  behind_->answer_in(&rounds_);
  ear_.then = [&] {
    ear_.then = {};
    EXPECT_EQ(ask("a"), Answer(Found{{"1"}}));
    EXPECT_FALSE(ask("b"));
  };
  EXPECT_FALSE(ask("a"));
  rounds_.play_all();
  EXPECT_EQ(ear_.heard.size(), 2U);
}

TEST_F(CachedTables, ForgetWhatMayHaveChanged) {
  EXPECT_TRUE(ask("a"));
  table_->forget("a");
  EXPECT_TRUE(ask("a"));
  EXPECT_EQ(behind_->asked(), 2);
}

TEST_F(CachedTables, DoNotKeepWhatWasReadBeforeItWasForgotten) {
  behind_->answer_in(&rounds_);
  EXPECT_FALSE(ask("a", 1));
  table_->forget("a");
  EXPECT_FALSE(ask("a", 2));  // must not be served by the older query
  EXPECT_EQ(behind_->asked(), 2);
  rounds_.play();
  EXPECT_EQ(ear_.heard.size(), 2U);
  EXPECT_EQ(cache_.size(), 1U);  // the second one's

  table_->forget("a");
  EXPECT_FALSE(ask("a", 3));
  table_->forget("a");
  rounds_.play();
  EXPECT_EQ(ear_.heard.size(), 3U);
  EXPECT_EQ(cache_.size(), 0U);
}

TEST_F(CachedTables, HaveAnOldAnswerStandInForAFailure) {
  EXPECT_TRUE(ask("a"));
  EXPECT_EQ(ask("nobody"), Answer(Absent{}));
  now_ += seconds(301);
  behind_->fail();
  EXPECT_EQ(ask("a"), Answer(Found{{"1"}, true}));
  EXPECT_TRUE(std::holds_alternative<Unavailable>(*ask("b")));
  EXPECT_EQ(ask("nobody"), Answer(Absent{.was = true}));
  now_ += seconds(3600);
  EXPECT_TRUE(std::holds_alternative<Unavailable>(*ask("a")));
}

TEST_F(CachedTables, HaveNothingStandInForWhatIsWrong) {
  EXPECT_TRUE(ask("a"));
  EXPECT_TRUE(ask("b"));
  now_ += seconds(301);
  behind_->answer_in(&rounds_);
  behind_->spoil();
  EXPECT_FALSE(ask("a", 1));
  rounds_.play();
  ASSERT_EQ(ear_.heard.size(), 1U);
  EXPECT_EQ(ear_.heard[0].second, Answer(Unavailable{"not valid UTF-8", true}));
  EXPECT_EQ(table_->failures(), 0U);
  behind_->mend();
  EXPECT_FALSE(ask("b", 2)) << "the table is not away";
  behind_->fail();
  EXPECT_FALSE(ask("a", 3)) << "what came before the wrong answer is gone";
  rounds_.play();
  EXPECT_TRUE(std::holds_alternative<Unavailable>(ear_.heard.back().second));
  EXPECT_EQ(table_->failures(), 1U);
}

TEST_F(CachedTables, WaitForATableThatIsMerelySlow) {
  EXPECT_TRUE(ask("a"));
  EXPECT_TRUE(ask("nobody"));
  now_ += seconds(301);
  behind_->answer_in(&rounds_);
  for (std::uint64_t i = 1; i < 3; ++i) {
    EXPECT_FALSE(ask("a", 1));
    EXPECT_FALSE(ask("nobody", 2));
    now_ += Availability::kPatience - std::chrono::milliseconds(1);
    EXPECT_EQ(ear_.heard.size(), 2 * i - 2);
    rounds_.play();
    ASSERT_EQ(ear_.heard.size(), 2 * i);
    EXPECT_EQ(ear_.heard.back().second, Answer(Absent{})) << "not that it was";
    now_ += seconds(301);
  }
}

// One answer in time, out of many that come late, is not enough.
TEST_F(CachedTables, AreBackWhenAllThatWasUnderWayIsAnswered) {
  EXPECT_TRUE(ask("a"));
  EXPECT_TRUE(ask("b"));
  now_ += seconds(301);
  behind_->fail();
  EXPECT_TRUE(ask("a"));
  behind_->mend();
  behind_->answer_in(&rounds_);
  EXPECT_EQ(ask("a"), Answer(Found{{"1"}, true}));
  EXPECT_EQ(ask("b"), Answer(Found{{"2"}, true}));
  rounds_.play_first();
  EXPECT_TRUE(database_.is_away()) << "b's is still out";
  rounds_.play_first();
  EXPECT_FALSE(database_.is_away());
  now_ += seconds(301);
  EXPECT_FALSE(ask("b", 1));
}

TEST_F(CachedTables, NeverHaveAForgottenAnswerStandIn) {
  EXPECT_TRUE(ask("a"));
  now_ += seconds(301);
  behind_->fail();
  table_->forget("a");
  EXPECT_TRUE(std::holds_alternative<Unavailable>(*ask("a")));
}

// Or all who come next would wait at once; and an old answer tells nobody that he is unknown.
TEST_F(CachedTables, HaveOldAnswersStandInForAMomentWhenTheTableIsBack) {
  for (const char* key : {"a", "b", "nobody"}) EXPECT_TRUE(ask(key));
  now_ += seconds(301);
  behind_->fail();
  EXPECT_TRUE(ask("a"));
  behind_->mend();
  behind_->answer_in(&rounds_);
  EXPECT_TRUE(ask("a"));
  rounds_.play();
  behind_->add("b", "3");
  EXPECT_EQ(ask("b"), Answer(Found{{"2"}, true}));
  EXPECT_EQ(ask("nobody"), Answer(Absent{.was = true}));
  EXPECT_FALSE(ask("new", 1)) << "it has no old answer";
  rounds_.play();
  EXPECT_EQ(ask("b"), Answer(Found{{"2", "3"}}));
  EXPECT_EQ(ask("nobody"), Answer(Absent{}));
  now_ += seconds(301);
  EXPECT_FALSE(ask("b", 2));
}

// A database that is silent, not refusing: who could have an old answer waits a moment, and those
// after him do not wait, until it answers.
TEST_F(CachedTables, WaitAMomentForASilentTableAndThenNoMore) {
  EXPECT_TRUE(ask("a"));
  EXPECT_TRUE(ask("b"));
  now_ += seconds(301);
  behind_->answer_in(&rounds_);
  EXPECT_FALSE(ask("a", 1));
  EXPECT_FALSE(ask("b", 2));
  EXPECT_FALSE(ask("new", 3));
  lose_patience();
  EXPECT_EQ(ear_.heard, (std::vector<std::pair<std::uint64_t, Answer>>{{1, Found{{"1"}, true}},
                                                                       {2, Found{{"2"}, true}}}));
  EXPECT_EQ(ask("a", 4), Answer(Found{{"1"}, true}));
  EXPECT_FALSE(ask("new", 5));
  EXPECT_EQ(behind_->asked(), 5);  // none of them twice

  rounds_.play();
  EXPECT_EQ(ear_.heard.size(), 4U);  // both who asked for the new one, nobody twice
  EXPECT_EQ(cache_.find(0, "a"), Answer(Found{{"1"}}));
  now_ += seconds(301);
  EXPECT_EQ(ask("a", 6), Answer(Found{{"1"}, true}));  // so slow a table is as good as away
  rounds_.play();
  now_ += seconds(301);
  EXPECT_FALSE(ask("a", 7));  // it answered in time: it is waited for again
}

// However long nobody has asked meanwhile.
TEST_F(CachedTables, OfOneDatabaseWaitOnceForAll) {
  auto behind = std::make_unique<FakeTable>("other:", FakeTable::Rows{{"a", "other"}});
  behind->of(database_);
  FakeTable& behind_other = *behind;
  CachedTable other(std::move(behind), shared_, 1);
  EXPECT_TRUE(ask("a"));
  EXPECT_TRUE(other.lookup("a", ear_, 0));
  now_ += seconds(301);
  behind_->answer_in(&rounds_);
  behind_other.answer_in(&rounds_);
  EXPECT_FALSE(ask("a", 1));
  lose_patience();
  ASSERT_EQ(ear_.heard.size(), 1U);
  now_ += seconds(600);
  EXPECT_EQ(other.lookup("a", ear_, 2), Answer(Found{{"other"}, true}));

  rounds_.play_all();
  EXPECT_EQ(other.lookup("a", ear_, 2), Answer(Found{{"other"}}));
  database_.on_connected();
  now_ += seconds(301);
  EXPECT_FALSE(other.lookup("a", ear_, 3)) << "it is back";
}

// A table that is broken says nothing of its neighbours: they are not served old answers.
TEST_F(CachedTables, HaveAnOldAnswerStandInForAQueryThatFails) {
  EXPECT_TRUE(ask("a"));
  EXPECT_TRUE(ask("b"));
  now_ += seconds(301);
  behind_->answer_in(&rounds_);
  behind_->fail_query();
  EXPECT_FALSE(ask("a", 1));
  rounds_.play();
  ASSERT_EQ(ear_.heard.size(), 1U);
  EXPECT_EQ(ear_.heard[0].second, Answer(Found{{"1"}, true}));
  EXPECT_FALSE(ask("b", 2));
}

TEST_F(CachedTables, KeepForAShortTimeWhatAReplicaSaysOfAChangedRow) {
  changes_.expect_lag();
  auto behind = std::make_unique<FakeTable>("replica:", FakeTable::Rows{{"a", "1"}, {"b", "2"}});
  CachedTable replica(std::move(behind), shared_, 1);
  changes_.add("a", Clock::now());
  EXPECT_TRUE(replica.lookup("a", ear_, 0));
  EXPECT_TRUE(replica.lookup("b", ear_, 0));
  bool is_ending = false;
  now_ += seconds(1);
  EXPECT_TRUE(cache_.find(1, "a", &is_ending));
  EXPECT_TRUE(is_ending) << "nobody waits for it either";
  now_ += seconds(2);
  EXPECT_FALSE(cache_.find(1, "a"));
  EXPECT_TRUE(cache_.find(1, "b"));
}

TEST(RecentChange, IsForgottenInTime) {
  RecentChanges changes;
  changes.expect_lag();
  const Clock::time_point now = Clock::now();
  changes.add("a", now);
  EXPECT_EQ(changes.longest_life("a", now + seconds(29)), RecentChanges::kTrust);
  EXPECT_EQ(changes.longest_life("a", now + seconds(30)), std::chrono::nanoseconds::max());
  EXPECT_EQ(changes.longest_life("b", now), std::chrono::nanoseconds::max());
  for (std::size_t i = 0; i <= RecentChanges::kMostKeys; ++i) {
    changes.add(fmt::format("k{}", i), now + seconds(40));
  }
  EXPECT_EQ(changes.longest_life("b", now + seconds(41)), RecentChanges::kTrust);
  EXPECT_EQ(changes.longest_life("b", now + seconds(71)), std::chrono::nanoseconds::max());
}

TEST_F(CachedTables, OfOneCacheDoNotMix) {
  CachedTable other(std::make_unique<FakeTable>("other:", FakeTable::Rows{{"a", "other"}}), shared_,
                    1);
  EXPECT_EQ(ask("a"), Answer(Found{{"1"}}));
  EXPECT_EQ(other.lookup("a", ear_, 0), Answer(Found{{"other"}}));
  EXPECT_EQ(ask("a"), Answer(Found{{"1"}}));
}

}  // namespace
}  // namespace lmtpd::lookup
