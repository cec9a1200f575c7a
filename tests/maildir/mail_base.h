// tests/maildir/mail_base.h -- a mail base of a test's own, and what a test says about it.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/types.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::testing {

inline constexpr MailboxOwner kRoot{Uid(0), Gid(0)};
inline constexpr MailboxOwner kAlice{Uid(61001), Gid(61001)};
inline constexpr MailboxOwner kBob{Uid(61002), Gid(61002)};

inline MailboxPath mailbox_path(std::string_view path) {
  return MailboxPath::parse(std::string(path) + "/").value();
}

// A fresh directory, root's and mode 0755, that goes with the object. Runs as root in a mount
// namespace of its own, so that what a test mounts goes with its process.
class MailBase : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: it makes files of several owners";
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ::umask(0077);
    std::string name = "/tmp/lmtpd-test.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    ASSERT_EQ(::chmod(root_.c_str(), 0755), 0);
  }
  void TearDown() override {
    if (root_.empty()) return;
    for (auto mounted = mounts_.rbegin(); mounted != mounts_.rend(); ++mounted) {
      ::umount2(mounted->c_str(), MNT_DETACH);
    }
    std::filesystem::remove_all(root_);
  }

  [[nodiscard]] std::string at(std::string_view path) const {
    return (root_ / std::string(path)).string();
  }
  [[nodiscard]] UniqueFd open_base() const {
    return UniqueFd(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }

  // Directories as the root helper or an administrator makes them.
  void make_directory(const std::string& path, mode_t mode, MailboxOwner owner) const {
    ASSERT_EQ(::mkdir(at(path).c_str(), 0700), 0) << path;
    ASSERT_EQ(::chown(at(path).c_str(), owner.uid.value(), owner.gid.value()), 0);
    ASSERT_EQ(::chmod(at(path).c_str(), mode), 0);
  }
  void make_root_directory(const std::string& path, mode_t mode = 0711) const {
    make_directory(path, mode, MailboxOwner{Uid(0), Gid(0)});
  }
  void make_maildir(const std::string& path, MailboxOwner owner) const {
    make_directory(path, 0700, owner);
    for (const char* name : {"/tmp", "/new", "/cur"}) make_directory(path + name, 0700, owner);
  }
  void mount(const char* type, const std::string& path, const char* options,
             unsigned long flags = 0) {
    ASSERT_EQ(::mount(type, at(path).c_str(), type, flags, options), 0) << path;
    mounts_.push_back(at(path));
  }

  [[nodiscard]] std::vector<std::string> list(const std::string& path) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(at(path))) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  [[nodiscard]] std::string content(const std::string& path) const {
    std::ifstream in(at(path), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  [[nodiscard]] struct stat status(const std::string& path) const {
    struct stat result{};
    EXPECT_EQ(::lstat(at(path).c_str(), &result), 0) << path;
    return result;
  }
  [[nodiscard]] mode_t mode(const std::string& path) const { return status(path).st_mode & 07777; }

  // What `body` returns when it runs as `owner`, in a process of its own.
  static std::string as_owner(MailboxOwner owner, const std::function<std::string()>& body) {
    return begin_as_owner(owner, body)();
  }
  // The same, begun: what comes back waits for the end. Whoever wants several at once begins them
  // one after the other, since a fork takes only the thread that calls it along.
  [[nodiscard]] static std::function<std::string()> begin_as_owner(
      MailboxOwner owner, const std::function<std::string()>& body) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setgroups(0, nullptr) != 0 ||
          ::setresgid(owner.gid.value(), owner.gid.value(), owner.gid.value()) != 0 ||
          ::setresuid(owner.uid.value(), owner.uid.value(), owner.uid.value()) != 0) {
        ::_exit(1);
      }
      const std::string result = body();
      const ssize_t written = ::write(ends[1], result.data(), result.size());
      ::_exit(written == static_cast<ssize_t>(result.size()) ? 0 : 1);
    }
    ::close(ends[1]);
    return [child, output = ends[0]] {
      std::string result;
      std::array<char, 4096> buffer{};
      for (ssize_t got = 0; (got = ::read(output, buffer.data(), buffer.size())) > 0;) {
        result.append(buffer.data(), static_cast<std::size_t>(got));
      }
      ::close(output);
      int state = 0;
      EXPECT_EQ(::waitpid(child, &state, 0), child);
      EXPECT_TRUE(WIFEXITED(state) && WEXITSTATUS(state) == 0) << "the child failed: " << state;
      return result;
    };
  }

 private:
  std::filesystem::path root_;
  std::vector<std::string> mounts_;
};

}  // namespace lmtpd::testing
