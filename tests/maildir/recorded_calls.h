// tests/maildir/recorded_calls.h -- the disk's system calls, made in truth, written down, and
// failing where a test wants it.
#pragma once

#include <algorithm>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lmtpd/base/unique_fd.h"
#include "maildir/delivery.h"
#include "maildir/disk_calls.h"

namespace lmtpd::testing {

inline std::string as_text(Reason reason) {
  switch (reason) {
    case Reason::no_access:
      return "no_access";
    case Reason::no_space:
      return "no_space";
    case Reason::over_quota:
      return "over_quota";
    case Reason::io:
      return "io";
    default:
      return "another reason";
  }
}

// "stored", "missing mailbox", or "reason: text".
inline std::string as_text(const maildir::Outcome& outcome) {
  switch (outcome.kind) {
    case maildir::Outcome::Kind::stored:
      return "stored";
    case maildir::Outcome::Kind::missing_mailbox:
      return "missing mailbox";
    case maildir::Outcome::Kind::failed:
      break;
  }
  return as_text(outcome.error.reason) + ": " + outcome.error.text;
}

// Each line is a call and what it touches, the path beneath `root` cut at `/tmp/` and `/new/`:
// "fsync bob/tmp/*" is the file, "fsync bob/new" the directory.
class RecordedCalls {
 public:
  explicit RecordedCalls(std::string root) {
    const std::lock_guard lock(mutex());
    lines().clear();
    faults().clear();
    events().clear();
    root_path() = std::move(root);
    largest_write() = SIZE_MAX;
    years_ahead() = 0;
  }

  // From now on the call whose line is `line` fails with `error`, `times` times.
  static void fail(const std::string& line, int error, int times = INT_MAX) {
    const std::lock_guard lock(mutex());
    faults()[line] = {error, times, {}};
  }
  // The same, once, but only after `first` was made.
  static void fail_after(const std::string& first, const std::string& line, int error) {
    const std::lock_guard lock(mutex());
    faults()[line] = {error, 1, first};
  }
  // While the call whose line is `line` is under way, once. Without the lock: calls of other
  // threads go on.
  static void meanwhile(const std::string& line, std::function<void()> what) {
    const std::lock_guard lock(mutex());
    events()[line] = std::move(what);
  }
  static void write_at_most(std::size_t octets) { largest_write() = octets; }
  // Every mailbox is long there.
  static void let_a_year_pass() { years_ahead() = 1; }

  [[nodiscard]] static std::vector<std::string> take() {
    const std::lock_guard lock(mutex());
    return std::exchange(lines(), {});
  }

  [[nodiscard]] static maildir::DiskCalls table() {
    return maildir::DiskCalls{
        .writev = [](int fd, const iovec* parts, int count) -> ssize_t {
          if (!note("write", fd)) return -1;
          iovec first = parts[0];
          if (largest_write() == SIZE_MAX) return ::writev(fd, parts, count);
          if (first.iov_len == 0) first = parts[1];
          first.iov_len = std::min(first.iov_len, largest_write());
          return ::writev(fd, &first, 1);
        },
        .sync_file_range =
            [](int fd, off64_t offset, off64_t size, unsigned flags) {
              return note("write-out", fd) ? ::sync_file_range(fd, offset, size, flags) : -1;
            },
        .fsync = [](int fd) { return note("fsync", fd) ? ::fsync(fd) : -1; },
        .syncfs = [](int fd) { return note("syncfs", fd) ? ::syncfs(fd) : -1; },
        .linkat =
            [](int old_dir, const char* old_name, int new_dir, const char* new_name, int flags) {
              return note("link", new_dir) ? ::linkat(old_dir, old_name, new_dir, new_name, flags)
                                           : -1;
            },
        .unlinkat =
            [](int dir, const char* name, int flags) {
              return note("unlink", dir) ? ::unlinkat(dir, name, flags) : -1;
            },
        .clock_gettime =
            [](clockid_t clock, timespec* now) {
              const int result = ::clock_gettime(clock, now);
              now->tv_sec += years_ahead() * 365 * 86400;
              return result;
            },
    };
  }

 private:
  struct Fault {
    int error;
    int times;
    std::string after;
  };

  // A shared sync is in another thread, while the delivery waits.
  static std::mutex& mutex() {
    static std::mutex value;
    return value;
  }
  static std::vector<std::string>& lines() {
    static std::vector<std::string> value;
    return value;
  }
  static std::map<std::string, Fault>& faults() {
    static std::map<std::string, Fault> value;
    return value;
  }
  static std::map<std::string, std::function<void()>>& events() {
    static std::map<std::string, std::function<void()>> value;
    return value;
  }
  static std::string& root_path() {
    static std::string value;
    return value;
  }
  static std::size_t& largest_write() {
    static std::size_t value;
    return value;
  }
  static long& years_ahead() {
    static long value;
    return value;
  }

  static std::string name_of(int fd) {
    std::error_code error;
    std::string path =
        std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error).string();
    if (path.starts_with(root_path())) path.erase(0, root_path().size());
    if (path.empty()) return "base";
    path.erase(0, 1);
    const std::size_t file = path.find("/tmp/");
    if (file != std::string::npos) path.replace(file + 5, std::string::npos, "*");
    return path;
  }

  // False: the call is to fail, and errno is set.
  static bool note(std::string_view call, int fd) {
    std::unique_lock lock(mutex());
    const std::string line = std::string(call) + " " + name_of(fd);
    lines().push_back(line);
    if (auto event = events().extract(line)) {
      lock.unlock();
      event.mapped()();
      lock.lock();
    }
    const auto fault = faults().find(line);
    if (fault == faults().end() || fault->second.times == 0) return true;
    const std::string& after = fault->second.after;
    if (!after.empty() && std::ranges::count(lines(), after) == 0) return true;
    --fault->second.times;
    errno = fault->second.error;
    return false;
  }
};

}  // namespace lmtpd::testing
