#include "lmtpd/base/counters.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace lmtpd {
namespace {

using Access = Counters::Access;

class CountersTest : public testing::Test {
 protected:
  UniqueFd page_ = *make_counter_page();
};

TEST_F(CountersTest, WhatOneProcessAddsAnotherReads) {
  Counters first = *Counters::map(page_, Access::add);
  Counters second = *Counters::map(page_, Access::add);
  const UniqueFd readable(
      ::open(fmt::format("/proc/self/fd/{}", page_.get()).c_str(), O_RDONLY | O_CLOEXEC));
  const Counters reader = *Counters::map(readable, Access::read);
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
  EXPECT_FALSE(Counters::map(readable, Access::add)) << "who may read may not write";
}

// A reader would fault where the page is not.
TEST_F(CountersTest, NobodyCanCutThePageOff) {
  EXPECT_EQ(::ftruncate(page_.get(), 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::fcntl(page_.get(), F_ADD_SEALS, F_SEAL_WRITE), -1);
}

TEST_F(CountersTest, AnotherFileIsNoPage) {
  EXPECT_FALSE(Counters::map(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)), Access::add));
  EXPECT_FALSE(Counters::map(UniqueFd(), Access::read));
}

}  // namespace
}  // namespace lmtpd
