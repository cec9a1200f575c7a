#include "lmtpd/base/counters.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lmtpd {
namespace {

class CountersTest : public testing::Test {
 protected:
  UniqueFd page_ = *make_shared_memory<CounterNumbers>();
};

TEST_F(CountersTest, WhatOneProcessAddsAnotherReads) {
  Counters first = *Counters::map(page_);
  Counters second = *Counters::map(page_);
  const UniqueFd readable(
      ::open(fmt::format("/proc/self/fd/{}", page_.get()).c_str(), O_RDONLY | O_CLOEXEC));
  const CounterReader reader = *CounterReader::map(readable);
  EXPECT_EQ(reader.value(Counter::connections), 0U);
  const pid_t child = ::fork();
  if (child == 0) {
    first.add(Counter::connections);
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  second.add(Counter::connections, 2);
  second.add(kLastCounter);
  page_.reset();
  EXPECT_EQ(reader.value(Counter::connections), 3U);
  EXPECT_EQ(reader.value(kLastCounter), 1U);
  EXPECT_EQ(reader.value(Counter::tls_sessions), 0U);
  EXPECT_FALSE(Counters::map(readable)) << "who may read may not write";
}

}  // namespace
}  // namespace lmtpd
