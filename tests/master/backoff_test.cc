#include "lmtpd/master/backoff.h"

#include <gtest/gtest.h>

namespace lmtpd::master {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Backoff, DoublesUpToHalfAMinute) {
  Backoff backoff;
  for (const int wait : {100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000}) {
    EXPECT_EQ(backoff.after_death(seconds(1)), milliseconds(wait));
  }
}

TEST(Backoff, ALongLifeStartsOver) {
  Backoff backoff;
  for (int i = 0; i < 5; ++i) static_cast<void>(backoff.after_death(seconds(59)));
  EXPECT_EQ(backoff.after_death(seconds(60)), milliseconds(100));
  EXPECT_EQ(backoff.after_death(seconds(1)), milliseconds(200));
}

}  // namespace
}  // namespace lmtpd::master
