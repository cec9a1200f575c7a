#include "bench/blast/histogram.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace lmtpd::blast {
namespace {

TEST(Histogram, EmptyIsAllZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.percentile(50), 0U);
  EXPECT_EQ(histogram.max(), 0U);
  EXPECT_EQ(histogram.mean(), 0U);
}

TEST(Histogram, PercentilesAreWithinASixtyFourth) {
  Histogram histogram;
  for (std::uint64_t i = 1; i <= 100000; ++i) histogram.record(i * 1000);
  for (const double percent : {50.0, 90.0, 99.0, 99.9}) {
    const double exact = percent * 1e6;
    const auto got = static_cast<double>(histogram.percentile(percent));
    EXPECT_GE(got, exact) << percent;
    EXPECT_LE(got, exact * (1 + 1.0 / 64)) << percent;
  }
  EXPECT_EQ(histogram.percentile(100), 100000000U);
  EXPECT_EQ(histogram.mean(), 50000500U);
}

TEST(Histogram, OneSlowReplyIsTheMaximumAndNotTheMedian) {
  Histogram histogram;
  for (int i = 0; i < 999; ++i) histogram.record(10);
  histogram.record(5'000'000'000);
  EXPECT_EQ(histogram.percentile(99.9), 10U);
  EXPECT_EQ(histogram.max(), 5'000'000'000U);
}

TEST(Histogram, TakesTheGreatestValue) {
  Histogram histogram;
  histogram.record(UINT64_MAX);
  EXPECT_EQ(histogram.percentile(50), UINT64_MAX);
}

}  // namespace
}  // namespace lmtpd::blast
