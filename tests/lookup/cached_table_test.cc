#include "lookup/cached_table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <list>
#include <random>

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

class AnswerCaches : public testing::Test {
 protected:
  AnswerCache make(std::uint64_t entries, std::uint64_t octets) {
    return {AnswerCache::Limits{entries, octets, seconds(300), seconds(10)},
            [this] { return now_; }};
  }
  Clock::time_point now_;
  int guesses_ = 0;
};

TEST_F(AnswerCaches, DropTheLeastRecentlyUsed) {
  AnswerCache cache = make(3, 1'000'000);
  for (const char* key : {"a", "b", "c"}) cache.insert(0, key, Found{{"v"}});
  EXPECT_TRUE(cache.find(0, "a"));
  cache.insert(0, "d", Found{{"v"}});
  EXPECT_FALSE(cache.find(0, "b"));
  for (const char* key : {"a", "c", "d"}) EXPECT_TRUE(cache.find(0, key)) << key;
  EXPECT_EQ(cache.size(), 3U);
}

TEST_F(AnswerCaches, CountAnOldAnswerThatStandsInAsUsed) {
  AnswerCache cache = make(2, 1'000'000);
  for (const char* key : {"a", "b"}) cache.insert(0, key, Found{{"v"}});
  now_ += seconds(301);
  EXPECT_TRUE(cache.find_stale(0, "a"));
  cache.insert(0, "c", Found{{"v"}});
  EXPECT_TRUE(cache.find_stale(0, "a"));
  EXPECT_FALSE(cache.find_stale(0, "b"));
}

TEST_F(AnswerCaches, StayWithinTheirOctets) {
  AnswerCache cache = make(1'000'000, 10'000);
  for (int i = 0; i < 1000; ++i) {
    cache.insert(0, fmt::format("user{}@domain.org", i), Found{{std::string(100, 'v')}});
    ASSERT_LE(cache.octets(), 10'000U);
  }
  EXPECT_GT(cache.size(), 40U);
  EXPECT_TRUE(cache.find(0, "user999@domain.org"));
  EXPECT_FALSE(cache.find(0, "user0@domain.org"));
  cache.insert(0, "huge", Found{{std::string(20'000, 'v')}});
  EXPECT_FALSE(cache.find(0, "huge"));
  EXPECT_TRUE(cache.find(0, "user999@domain.org"));  // for nothing
}

TEST_F(AnswerCaches, OfNoSizeKeepNothing) {
  AnswerCache cache = make(0, 1'000'000);
  cache.insert(0, "a", Found{{"v"}});
  EXPECT_FALSE(cache.find(0, "a"));
}

TEST_F(AnswerCaches, ReplaceAnAnswerByANewerOne) {
  AnswerCache cache = make(10, 1'000'000);
  cache.insert(0, "a", Found{{"old"}});
  cache.insert(0, "a", Found{{"new", ""}});
  EXPECT_EQ(cache.find(0, "a"), Answer(Found{{"new", ""}}));
  EXPECT_EQ(cache.size(), 1U);
  cache.insert(0, "a", Unavailable{"down"});
  EXPECT_TRUE(cache.find(0, "a"));
  cache.insert(0, "a", Absent{});
  EXPECT_EQ(cache.find(0, "a"), Answer(Absent{}));
  EXPECT_EQ(cache.size(), 1U);
  cache.erase(0, "a");
  EXPECT_EQ(cache.octets(), 0U);
}

TEST_F(AnswerCaches, KeepTheirWorkingSetWhenManyUnknownKeysAreTried) {
  AnswerCache cache = make(1000, 1'000'000);
  for (int i = 0; i < 740; ++i) cache.insert(0, fmt::format("user{}", i), Found{{"v"}});
  for (int i = 0; i < 100'000; ++i) {
    cache.insert(0, fmt::format("guess{}", i), Absent{});
    ASSERT_LE(cache.size(), 1000U);
  }
  for (int i = 0; i < 740; ++i) EXPECT_TRUE(cache.find(0, fmt::format("user{}", i))) << i;
  EXPECT_TRUE(cache.find(0, "guess99999"));
  EXPECT_FALSE(cache.find(0, "guess0"));
}

// An alias is found after its own key among the mailboxes was not.
TEST_F(AnswerCaches, KeepWhatIsMissedAgainAndAgainWhenManyUnknownKeysAreTried) {
  AnswerCache cache = make(1000, 1'000'000);
  const auto miss_all = [&] {
    for (int i = 0; i < 200; ++i) cache.insert(0, fmt::format("alias{}", i), Absent{});
  };
  const auto guess = [&](int count) {
    for (int i = 0; i < count; ++i) cache.insert(0, fmt::format("guess{}", guesses_++), Absent{});
  };
  miss_all();
  now_ += seconds(11);
  miss_all();
  guess(100'000);
  now_ += seconds(11);
  for (int i = 0; i < 1000; ++i) cache.insert(0, fmt::format("user{}", i), Found{{"v"}});
  guess(1000);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(cache.find_stale(0, fmt::format("alias{}", i)), Answer(Absent{.was = true})) << i;
  }
  // No more than their share either, and not for ever.
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 300; ++i) cache.insert(0, fmt::format("again{}", i), Absent{});
  }
  for (int i = 0; i < 300; ++i) EXPECT_EQ(cache.has_fresh(0, fmt::format("again{}", i)), i >= 50);
  now_ += seconds(3611);
  for (int i = 0; i < 1000; ++i) cache.insert(0, fmt::format("user{}", i), Found{{"v"}});
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(cache.find(0, fmt::format("user{}", i))) << i;
}

TEST_F(AnswerCaches, KeepTheirWorkingSetInOctetsToo) {
  AnswerCache cache = make(1'000'000, 100'000);
  int users = 0;
  for (; cache.octets() < 70'000; ++users) {
    cache.insert(0, fmt::format("user{}", users), Found{{std::string(100, 'v')}});
  }
  for (int i = 0; i < 10'000; ++i) {
    cache.insert(0, fmt::format("guess{}{}", i, std::string(200, 'x')), Absent{});
    ASSERT_LE(cache.octets(), 100'000U);
  }
  for (int i = 0; i < users; ++i) EXPECT_TRUE(cache.find(0, fmt::format("user{}", i))) << i;
}

TEST_F(AnswerCaches, GiveTheRoomOfDeadNegativesBack) {
  AnswerCache cache = make(100, 1'000'000);
  for (int i = 0; i < 25; ++i) cache.insert(0, fmt::format("guess{}", i), Absent{});
  now_ += seconds(11);
  for (int i = 0; i < 100; ++i) cache.insert(0, fmt::format("user{}", i), Found{{"v"}});
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(cache.find(0, fmt::format("user{}", i))) << i;
}

TEST_F(AnswerCaches, HaveAnOldAnswerForAWhile) {
  AnswerCache cache = make(100, 1'000'000);
  cache.insert(0, "a", Found{{"v"}});
  cache.insert(0, "none", Absent{});
  now_ += seconds(300);
  EXPECT_FALSE(cache.find(0, "a"));
  EXPECT_EQ(cache.find_stale(0, "a"), Answer(Found{{"v"}, true}));
  EXPECT_EQ(cache.find_stale(0, "none"), Answer(Absent{.was = true}));
  now_ += seconds(3599);
  EXPECT_EQ(cache.find_stale(0, "a"), Answer(Found{{"v"}, true}));
  now_ += seconds(1);
  EXPECT_FALSE(cache.find_stale(0, "a"));
  EXPECT_EQ(cache.statistics().stale_hits, 3U);
}

TEST_F(AnswerCaches, ForgetADomainOrEverything) {
  AnswerCache cache = make(100, 1'000'000);
  for (const char* key : {"domain.org", "@domain.org", "u@domain.org", "u@sub.domain.org",
                          "u@otherdomain.org", "otherdomain.org"}) {
    for (const std::uint32_t table : {1U, 2U}) cache.insert(table, key, Found{{"v"}});
  }
  cache.erase_domain("domain.org");
  EXPECT_EQ(cache.size(), 6U);
  for (const char* key : {"u@sub.domain.org", "u@otherdomain.org", "otherdomain.org"}) {
    for (const std::uint32_t table : {1U, 2U}) EXPECT_TRUE(cache.find(table, key)) << key;
  }
  cache.erase_all();
  EXPECT_EQ(cache.size(), 0U);
  EXPECT_EQ(cache.octets(), 0U);
}

TEST_F(AnswerCaches, EndSoonWhatIsInDoubt) {
  AnswerCache cache = make(100, 1'000'000);
  for (const char* key : {"a", "b"}) cache.insert(0, key, Found{{"v"}});
  now_ += seconds(1);
  bool is_ending = false;
  EXPECT_TRUE(cache.find(0, "a", &is_ending));
  EXPECT_FALSE(is_ending);
  cache.doubt_all();
  EXPECT_TRUE(cache.find(0, "a", &is_ending));
  EXPECT_TRUE(is_ending);
  cache.insert(0, "a", Found{{"w"}});
  EXPECT_TRUE(cache.find(0, "a", &is_ending));
  EXPECT_FALSE(is_ending);
  now_ += AnswerCache::kDoubt;
  EXPECT_FALSE(cache.find(0, "b"));
  EXPECT_TRUE(cache.find_stale(0, "b"));
  EXPECT_EQ(cache.find(0, "a"), Answer(Found{{"w"}}));
}

TEST_F(AnswerCaches, DoNotPutOffTheEndOfWhatIsDoubtedAgain) {
  constexpr auto kHalf = std::chrono::milliseconds(AnswerCache::kDoubt) / 2;
  AnswerCache cache = make(100, 1'000'000);
  cache.insert(0, "a", Found{{"v"}});
  now_ += seconds(1);
  cache.doubt_all();
  now_ += kHalf;
  cache.insert(0, "later", Found{{"v"}});
  now_ += kHalf / 2;
  cache.doubt_all();
  EXPECT_TRUE(cache.find(0, "a"));
  now_ += kHalf / 2;
  EXPECT_FALSE(cache.find(0, "a"));
  EXPECT_FALSE(cache.find(0, "later"));

  cache.insert(0, "new", Found{{"v"}});
  now_ += seconds(1);
  cache.doubt_all();
  EXPECT_TRUE(cache.find(0, "new"));
  EXPECT_FALSE(cache.find(0, "a")) << "what has ended lives no more";
  now_ += AnswerCache::kDoubt;
  EXPECT_FALSE(cache.find(0, "new"));
}

TEST_F(AnswerCaches, KeepAnAnswerForLessThanItsTtl) {
  AnswerCache cache = make(100, 1'000'000);
  cache.insert(0, "a", Found{{"v"}}, seconds(2));
  now_ += seconds(1);
  EXPECT_TRUE(cache.find(0, "a"));
  now_ += seconds(1);
  EXPECT_FALSE(cache.find(0, "a"));
}

// Against a list that is plainly right, through growth, eviction, reuse and removal.
TEST_F(AnswerCaches, BehaveAsAPlainModelDoes) {
  constexpr std::size_t kEntries = 700;
  AnswerCache cache = make(kEntries, 100'000'000);
  std::list<std::pair<std::string, std::string>> model;  // newest first
  const auto find = [&](const std::string& key) {
    return std::find_if(model.begin(), model.end(),
                        [&](auto& entry) { return entry.first == key; });
  };
  std::mt19937 random(7);
  for (int i = 0; i < 60'000; ++i) {
    const std::string key = fmt::format("k{}", random() % 1500);
    const auto known = find(key);
    switch (random() % 4) {
      case 0: {
        const std::optional<Answer> answer = cache.find(0, key);
        ASSERT_EQ(answer.has_value(), known != model.end()) << key;
        if (!answer) break;
        ASSERT_EQ(*answer, Answer(Found{{known->second}}));
        model.splice(model.begin(), model, known);
        break;
      }
      case 1:
        cache.erase(0, key);
        if (known != model.end()) model.erase(known);
        break;
      default: {
        const std::string value = fmt::format("v{}", i);
        cache.insert(0, key, Found{{value}});
        if (known != model.end()) model.erase(known);
        model.emplace_front(key, value);
        if (model.size() > kEntries) model.pop_back();
      }
    }
    ASSERT_EQ(cache.size(), model.size());
  }
}

}  // namespace
}  // namespace lmtpd::lookup
