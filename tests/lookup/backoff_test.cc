#include "lookup/backoff.h"

#include <gtest/gtest.h>

#include <set>

namespace lmtpd::lookup {
namespace {

using namespace std::chrono_literals;

TEST(BackoffTime, DoublesUpToItsBoundAndIsRandomInItsUpperHalf) {
  Backoff backoff(500ms, 30s);
  for (int failures = 1; failures < 40; ++failures) {
    const auto bound = failures < 7 ? 500ms * (1 << (failures - 1)) : 30s;
    std::set<std::chrono::milliseconds> seen;
    for (int i = 0; i < 50; ++i) {
      const auto wait = backoff.after(failures);
      EXPECT_GE(wait, bound / 2);
      EXPECT_LE(wait, bound);
      seen.insert(wait);
    }
    EXPECT_GT(seen.size(), 10U) << failures;
  }
}

}  // namespace
}  // namespace lmtpd::lookup
