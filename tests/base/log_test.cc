#include "lmtpd/base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
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

// The two numbers of the file that standard error is, as the service manager says them.
std::string device_and_inode() {
  struct stat status{};
  EXPECT_EQ(::fstat(STDERR_FILENO, &status), 0);
  return fmt::format("{}:{}", status.st_dev, status.st_ino);
}

class JournalLogTest : public LogTest {
 protected:
  ~JournalLogTest() override { ::unsetenv("JOURNAL_STREAM"); }
  static void say_that_the_journal_is(const std::string& stream) {
    ::setenv("JOURNAL_STREAM", stream.c_str(), 1);
    open_log("test", LogTarget::standard_error);
  }
};

TEST_F(JournalLogTest, GivesTheJournalASeverityForEachLine) {
  say_that_the_journal_is(device_and_inode());
  EXPECT_TRUE(gather_log_info("one"));
  log_warning("two");
  log_error("three");
  log_info("four");
  EXPECT_EQ(written(), line("one"));
  EXPECT_EQ(written(), "<4>" + line("warning: two"));
  EXPECT_EQ(written(), "<3>" + line("error: three"));
  EXPECT_EQ(written(), line("four"));
}

TEST_F(JournalLogTest, GivesNobodyElseOne) {
  const std::string own = device_and_inode();
  for (const std::string& another : {"1" + own, own + "1", own + " ", own.substr(own.find(':')),
                                     std::string("8:1"), std::string()}) {
    say_that_the_journal_is(another);
    log_warning("words");
    EXPECT_EQ(written(), line("warning: words")) << another;
  }
}

TEST(Escaped, KeepsWhatIsPlainAndCutsWhatIsLong) {
  EXPECT_EQ(escaped("plain ~ text"), "plain ~ text");
  EXPECT_EQ(escaped("a\x7F\n\xC3\xA4\xC3"), "a??\xC3\xA4?");
  EXPECT_EQ(escaped("12345", 5), "12345");
  EXPECT_EQ(escaped("123456", 5), "12345...");
}

TEST(Escaped, LeavesNothingThatAViewerObeys) {  // H20
  EXPECT_EQ(escaped("\x1B[31m \xC2\x80 \xC2\x9F[31m \xC2\xA0"), "?[31m ? ?[31m \xC2\xA0");
  EXPECT_EQ(escaped("\xE2\x80\xA7 \xE2\x80\xA8 \xE2\x80\xAE \xE2\x80\xAF"),
            "\xE2\x80\xA7 ? ? \xE2\x80\xAF");
  EXPECT_EQ(escaped("\xE2\x81\xA5 \xE2\x81\xA6 \xE2\x81\xA9 \xE2\x81\xAA"),
            "\xE2\x81\xA5 ? ? \xE2\x81\xAA");
  EXPECT_EQ(escaped("\xF0\x9F\x93\xA7"), "\xF0\x9F\x93\xA7");
}

}  // namespace
}  // namespace lmtpd
