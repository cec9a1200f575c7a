#include "bench/blast/address_pattern.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bench/blast/recipients.h"

namespace lmtpd::blast {
namespace {

std::vector<std::string> all_of(std::string_view text) {
  const auto pattern = AddressPattern::parse(text);
  if (!pattern) return {"error: " + pattern.error()};
  std::vector<std::string> all;
  all.reserve(pattern->count());
  for (std::uint64_t i = 0; i < pattern->count(); ++i) all.push_back(pattern->at(i));
  return all;
}

using Strings = std::vector<std::string>;

TEST(AddressPattern, WithoutBracesIsOneAddress) {
  EXPECT_EQ(all_of("user@domain.org"), (Strings{"user@domain.org"}));
}

TEST(AddressPattern, EnumeratesAllCombinationsLastBracesFastest) {
  EXPECT_EQ(all_of("u{1-2}@d{9-11}.org"), (Strings{"u1@d9.org", "u1@d10.org", "u1@d11.org",
                                                   "u2@d9.org", "u2@d10.org", "u2@d11.org"}));
}

TEST(AddressPattern, PadsToTheWidthOfTheFirstNumber) {
  EXPECT_EQ(all_of("{008-010}@d"), (Strings{"008@d", "009@d", "010@d"}));
}

TEST(AddressPattern, TakesWords) {
  EXPECT_EQ(all_of("{info,a-b}@d{1-2}"), (Strings{"info@d1", "info@d2", "a-b@d1", "a-b@d2"}));
}

TEST(AddressPattern, TakesEscapedBraces) { EXPECT_EQ(all_of(R"(a\{b\}@d)"), (Strings{"a{b}@d"})); }

TEST(AddressPattern, RefusesWhatItCannotMean) {
  for (const char* bad : {"", "u{1-2@d", "u1-2}@d", "u{3-1}@d", "a\r\nb@d", "{0-99999}{0-99999}@d",
                          "{0-18446744073709551615}@d"}) {
    EXPECT_FALSE(AddressPattern::parse(bad).has_value()) << bad;
  }
}

Recipients recipients_of(std::initializer_list<const char*> texts,
                         std::optional<std::uint64_t> seed = std::nullopt) {
  std::vector<AddressPattern> patterns;
  for (const char* text : texts) patterns.push_back(AddressPattern::parse(text).value());
  return {std::move(patterns), seed};
}

TEST(Recipients, GoRoundThroughAllPatterns) {
  auto recipients = recipients_of({"a{1-2}@d", "b@d"});
  EXPECT_EQ(recipients.take(2), (Strings{"a1@d", "a2@d"}));
  EXPECT_EQ(recipients.take(3), (Strings{"b@d", "a1@d", "a2@d"}));
}

TEST(Recipients, ShuffledAreTheSameOnesInAnotherOrderGivenByTheSeed) {
  auto plain = recipients_of({"a{1-100}@d"});
  auto one = recipients_of({"a{1-100}@d"}, 7);
  auto same = recipients_of({"a{1-100}@d"}, 7);
  auto other = recipients_of({"a{1-100}@d"}, 8);
  const auto in_order = plain.take(100);
  const auto first = one.take(100);
  EXPECT_NE(first, in_order);
  EXPECT_EQ(first, same.take(100));
  EXPECT_NE(first, other.take(100));
  EXPECT_EQ(std::set<std::string>(first.begin(), first.end()),
            std::set<std::string>(in_order.begin(), in_order.end()));
}

}  // namespace
}  // namespace lmtpd::blast
