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
    table_ = std::make_unique<CachedTable>(std::move(behind), cache_, 0);
  }
  std::optional<Answer> ask(std::string_view key, std::uint64_t id = 0) {
    return table_->lookup(key, ear_, id);
  }

  Clock::time_point now_;
  AnswerCache cache_{AnswerCache::Limits{100, 1'000'000, seconds(300), seconds(10)},
                     [this] { return now_; }};
  FakeTable* behind_;
  std::unique_ptr<CachedTable> table_;
  Ear ear_;
  Rounds rounds_;
};

TEST_F(CachedTables, AskOnceWhileTheAnswerLives) {
  EXPECT_EQ(ask("a"), Answer(Found{{"1"}}));
  EXPECT_EQ(ask("many"), Answer(Found{{"x", "y"}}));
  now_ += seconds(299);
  EXPECT_EQ(ask("a"), Answer(Found{{"1"}}));
  EXPECT_EQ(ask("many"), Answer(Found{{"x", "y"}}));
  EXPECT_EQ(behind_->asked(), 2);
  now_ += seconds(1);
  EXPECT_EQ(ask("a"), Answer(Found{{"1"}}));
  EXPECT_EQ(behind_->asked(), 3);
}

TEST_F(CachedTables, KeepAbsenceForItsOwnTime) {
  EXPECT_EQ(ask("nobody"), Answer(Absent{}));
  now_ += seconds(9);
  EXPECT_EQ(ask("nobody"), Answer(Absent{}));
  EXPECT_EQ(behind_->asked(), 1);
  now_ += seconds(1);
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

TEST_F(CachedTables, OfOneCacheDoNotMix) {
  CachedTable other(std::make_unique<FakeTable>("other:", FakeTable::Rows{{"a", "other"}}), cache_,
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
  EXPECT_FALSE(cache.find(0, "a"));
  EXPECT_EQ(cache.octets(), 0U);
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
