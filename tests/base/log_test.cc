#include "lmtpd/base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <unistd.h>

#include <array>
#include <string>

#include "lmtpd/base/unique_fd.h"

namespace lmtpd {
namespace {

// Standard error is a packet pipe meanwhile: what one write(2) wrote is read as one.
class LogTest : public testing::Test {
 protected:
  LogTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_DIRECT | O_NONBLOCK | O_CLOEXEC), 0);
    read_end_.reset(ends[0]);
    const UniqueFd write_end(ends[1]);
    EXPECT_EQ(::dup2(write_end.get(), STDERR_FILENO), STDERR_FILENO);
    open_log("test", LogTarget::standard_error);
  }
  ~LogTest() override { EXPECT_EQ(::dup2(saved_.get(), STDERR_FILENO), STDERR_FILENO); }

  std::string written() {
    std::array<char, PIPE_BUF> buffer{};
    const ssize_t size = ::read(read_end_.get(), buffer.data(), buffer.size());
    return {buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
  }
  static std::string line(const std::string& text) {
    return fmt::format("lmtpd/test[{}]: {}\n", ::getpid(), text);
  }

  UniqueFd saved_{::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)};
  UniqueFd read_end_;
};

TEST_F(LogTest, WritesGatheredLinesAtOnceAndBeforeAnyOther) {
  EXPECT_TRUE(gather_log_info("one"));
  EXPECT_TRUE(gather_log_info("two"));
  EXPECT_EQ(written(), "");
  log_warning("three");
  EXPECT_EQ(written(), line("one") + line("two"));
  EXPECT_EQ(written(), line("warning: three"));
  write_gathered_log();
  EXPECT_EQ(written(), "");
}

TEST_F(LogTest, GathersNoMoreThanAPipeTakesWhole) {
  const std::string long_line(PIPE_BUF / 2, 'x');
  EXPECT_TRUE(gather_log_info(long_line));
  EXPECT_TRUE(gather_log_info(long_line));
  EXPECT_EQ(written(), line(long_line));
  write_gathered_log();
  EXPECT_EQ(written(), line(long_line));
}

TEST(Escaped, KeepsWhatIsPlainAndCutsWhatIsLong) {
  EXPECT_EQ(escaped("plain ~ text"), "plain ~ text");
  EXPECT_EQ(escaped("a\x7F\n\xC3\xA4\xC3"), "a??\xC3\xA4?");
  EXPECT_EQ(escaped("12345", 5), "12345");
  EXPECT_EQ(escaped("123456", 5), "12345...");
}

}  // namespace
}  // namespace lmtpd
