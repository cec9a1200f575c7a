#include "lookup/auth/nobody.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "lmtpd/base/base64.h"

namespace lmtpd::lookup {
namespace {

constexpr int kNames = 200;

StoredPassword stored(std::string_view text) { return *StoredPassword::parse(text); }
StoredPassword scram(std::uint32_t iterations, std::size_t salt) {
  const std::string key = to_base64(std::string(32, 'k'));
  return stored(fmt::format("{{SCRAM-SHA-256}}{},{},{},{}", iterations,
                            to_base64(std::string(salt, 's')), key, key));
}
StoredPassword bcrypt(int cost) {
  return stored(
      fmt::format("$2b${:02}$N7cYAowDDZBYzoRvG8/9p.XR4tEk5eXUoH5Y36mJa4RBZtthh3mEa", cost));
}
std::string name(int number) { return fmt::format("user{}@domain.org", number); }

std::map<std::string, std::string> kinds_by_name(const Nobody& nobody) {
  std::map<std::string, std::string> kinds;
  for (int i = 0; i < kNames; ++i) kinds[name(i)] = nobody.password(name(i)).kind();
  return kinds;
}

TEST(Nobody, IsLikeTheDefaultsUntilAUserIsMet) {
  Nobody nobody(Key{1});
  EXPECT_EQ(nobody.password("a").kind(), "$y$j9T");
  EXPECT_EQ(nobody.verifier("a").iterations, 4096U);
  EXPECT_EQ(nobody.verifier("a").salt.size(), 16U);
  nobody.meet(bcrypt(5));
  EXPECT_EQ(nobody.password("a").kind(), "$2b$05");
  EXPECT_EQ(nobody.verifier("a").iterations, 4096U);  // a hash is none for SCRAM
  nobody.meet(scram(1000, 12));
  EXPECT_EQ(nobody.verifier("a").iterations, 1000U);
  EXPECT_EQ(nobody.verifier("a").salt.size(), 12U);
}

TEST(Nobody, HasOneKindForEachNameWhateverIsMetAgain) {
  Nobody nobody(Key{1});
  nobody.meet(bcrypt(5));
  nobody.meet(bcrypt(6));
  nobody.meet(scram(1000, 12));
  const auto before = kinds_by_name(nobody);
  std::set<std::string> used;
  for (const auto& [name, kind] : before) used.insert(kind);
  EXPECT_EQ(used, (std::set<std::string>{"$2b$05", "$2b$06", "{SCRAM-SHA-256}1000,12"}));
  nobody.meet(bcrypt(6));
  nobody.meet(bcrypt(5));
  EXPECT_EQ(kinds_by_name(nobody), before);
  // The order in which they were met is of no account: a restart may change it.
  Nobody other(Key{1});
  other.meet(scram(1000, 12));
  other.meet(bcrypt(6));
  other.meet(bcrypt(5));
  EXPECT_EQ(kinds_by_name(other), before);
  Nobody stranger(Key{2});
  stranger.meet(scram(1000, 12));
  stranger.meet(bcrypt(6));
  stranger.meet(bcrypt(5));
  EXPECT_NE(kinds_by_name(stranger), before);
}

TEST(Nobody, GivesANewKindSomeNamesAndLeavesTheOthersTheirs) {
  Nobody nobody(Key{1});
  for (int cost = 4; cost < 8; ++cost) nobody.meet(bcrypt(cost));
  const auto before = kinds_by_name(nobody);
  nobody.meet(bcrypt(8));
  int changed = 0;
  for (const auto& [name, kind] : kinds_by_name(nobody)) {
    if (kind == before.at(name)) continue;
    EXPECT_EQ(kind, "$2b$08");
    ++changed;
  }
  // About a fifth.
  EXPECT_GT(changed, kNames / 10);
  EXPECT_LT(changed, kNames * 3 / 10);
}

TEST(Nobody, RemembersSoManyKindsAndNoMore) {
  Nobody nobody(Key{1});
  for (std::uint32_t i = 1; i <= Nobody::kMostKinds; ++i) nobody.meet(scram(i, 16));
  const auto before = kinds_by_name(nobody);
  nobody.meet(scram(1000, 16));
  nobody.meet(bcrypt(5));
  EXPECT_EQ(kinds_by_name(nobody), before);
}

TEST(Nobody, HasASaltOfHisOwnForEachName) {
  Nobody nobody(Key{1});
  EXPECT_EQ(nobody.verifier("a").salt, nobody.verifier("a").salt);
  EXPECT_NE(nobody.verifier("a").salt, nobody.verifier("b").salt);
  EXPECT_NE(nobody.verifier("a").salt, Nobody(Key{2}).verifier("a").salt);
  nobody.meet(scram(1000, 70));  // over two digests
  const std::string salt = nobody.verifier("a").salt;
  ASSERT_EQ(salt.size(), 70U);
  EXPECT_NE(salt.substr(0, 32), salt.substr(32, 32));
}

}  // namespace
}  // namespace lmtpd::lookup
