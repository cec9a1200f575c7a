#include "maildir/unique_name.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace lmtpd::maildir {
namespace {

TEST(UniqueName, HasTheFormOfMaildirAndTheSizesForDovecot) {
  const UniqueNames names("mx.example.org");
  const std::regex form(R"(\d{10,}\.M\d{1,6}P(\d+)Q\d+\.mx\.example\.org,S=1234,W=1260)");
  std::smatch match;
  const std::string name = names.next({.on_disk = 1234, .wire = 1260});
  ASSERT_TRUE(std::regex_match(name, match, form)) << name;
  EXPECT_EQ(match[1], std::to_string(::getpid()));
}

TEST(UniqueName, MayCarryRandomBits) {
  const UniqueNames names("mx");
  const std::regex form(R"(\d{10,}\.M\d{1,6}P\d+Q\d+R[0-9a-f]{1,16}\.mx,S=1,W=2)");
  const std::string name = names.next_random({.on_disk = 1, .wire = 2});
  EXPECT_TRUE(std::regex_match(name, form)) << name;
}

TEST(UniqueName, EscapesWhatAHostNameMustNotBringIn) {
  const std::string name = UniqueNames("a/b:c,d").next({});
  EXPECT_TRUE(name.ends_with(".a\\057b\\072c\\054d,S=0,W=0")) << name;
}

TEST(UniqueName, FitsIntoADirectoryEntryWhateverTheHost) {
  const MessageSize largest{UINT64_MAX, UINT64_MAX};
  EXPECT_LE(UniqueNames(std::string(255, ',')).next_random(largest).size(), 255U);
  EXPECT_LE(UniqueNames(std::string(255, 'h')).next_random(largest).size(), 255U);
}

TEST(UniqueName, NeverComesTwiceFromEightThreads) {
  constexpr std::size_t kThreads = 8;
  constexpr std::size_t kEach = 2000;
  std::array<std::vector<std::string>, kThreads> made;
  {
    std::vector<std::jthread> threads;
    for (std::vector<std::string>& mine : made) {
      threads.emplace_back([&mine] {
        const UniqueNames names("mx");  // an object each: the sequence is the process's
        for (std::size_t i = 0; i < kEach; ++i) mine.push_back(names.next({}));
      });
    }
  }
  std::set<std::string> all;
  for (const auto& names : made) all.insert(names.begin(), names.end());
  EXPECT_EQ(all.size(), kThreads * kEach);
}

TEST(UniqueName, NeverComesTwiceFromEightProcesses) {
  constexpr std::size_t kProcesses = 8;
  constexpr std::size_t kEach = 500;
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  std::vector<pid_t> children;
  for (std::size_t process = 0; process < kProcesses; ++process) {
    const pid_t child = ::fork();
    if (child == 0) {
      const UniqueNames names("mx");
      bool written = true;
      for (std::size_t i = 0; i < kEach; ++i) {
        const std::string line = names.next({}) + "\n";
        written = written && ::write(ends[1], line.data(), line.size()) > 0;
      }
      ::_exit(written ? 0 : 1);
    }
    children.push_back(child);
  }
  ::close(ends[1]);
  std::string text;
  std::array<char, 4096> buffer{};
  for (ssize_t got = 0; (got = ::read(ends[0], buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  for (const pid_t child : children) {
    int state = -1;
    EXPECT_EQ(::waitpid(child, &state, 0), child);
    EXPECT_EQ(state, 0);
  }
  std::set<std::string> all;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = text.find('\n', start);
    all.insert(text.substr(start, end - start));
    start = end + 1;
  }
  EXPECT_EQ(all.size(), kProcesses * kEach);
}

}  // namespace
}  // namespace lmtpd::maildir
