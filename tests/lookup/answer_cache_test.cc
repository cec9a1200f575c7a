#include "lookup/answer_cache.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <random>

namespace lmtpd::lookup {
namespace {

using std::chrono::seconds;

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
