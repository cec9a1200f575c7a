#include "lookup/auth/failure_record.h"

#include <gtest/gtest.h>

namespace lmtpd::lookup {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

const Clock::time_point kStart{std::chrono::hours(1000)};

TEST(FailureRecord, EachFailureDoublesTheWaitUpToALimit) {
  FailureRecord record(10);
  EXPECT_EQ(record.wait("a", kStart), 0ms);
  for (const auto expected : {250ms, 500ms, 1000ms, 2000ms, 4000ms, 8000ms, 8000ms}) {
    record.add("a", kStart);
    EXPECT_EQ(record.wait("a", kStart), expected);
  }
  EXPECT_EQ(record.wait("b", kStart), 0ms);
  for (int i = 0; i < 1000; ++i) record.add("a", kStart);
  EXPECT_EQ(record.wait("a", kStart), FailureRecord::kLongestWait);
}

TEST(FailureRecord, ForgetsAfterAWhileAndAfterASuccess) {
  FailureRecord record(10);
  EXPECT_EQ(record.add("a", kStart), 1U);
  EXPECT_EQ(record.add("a", kStart + 1s), 2U);
  const auto later = kStart + 2s + FailureRecord::kMemory;
  EXPECT_EQ(record.wait("a", later), 0ms);
  EXPECT_EQ(record.add("a", later), 1U);
  record.forget("a");
  EXPECT_EQ(record.wait("a", later), 0ms);
  EXPECT_EQ(record.size(), 0U);
}

TEST(FailureRecord, IsBounded) {
  FailureRecord record(2);
  record.add("a", kStart);
  record.add("b", kStart);
  record.add("a", kStart);
  record.add("c", kStart);
  EXPECT_EQ(record.size(), 2U);
  EXPECT_EQ(record.wait("b", kStart), 0ms);
  EXPECT_EQ(record.wait("a", kStart), 500ms);
  EXPECT_EQ(record.wait("c", kStart), 250ms);
}

}  // namespace
}  // namespace lmtpd::lookup
