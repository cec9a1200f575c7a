#include "maildir/tmp_sweep.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <functional>
#include <string>
#include <utility>

#include "lmtpd/base/log.h"
#include "maildir/open_beneath.h"

namespace lmtpd::maildir {
namespace {

constexpr time_t kAbandoned = 36 * 3600L;  // seconds
constexpr time_t kDay = 24 * 3600L;        // seconds

bool is_abandoned(timespec ctime, timespec now) {
  const time_t since = now.tv_sec - kAbandoned;
  return ctime.tv_sec < since || (ctime.tv_sec == since && ctime.tv_nsec < now.tv_nsec);
}

std::size_t hash_of(const MailboxPath& path) { return std::hash<std::string>{}(path.value()); }

}  // namespace

timespec TmpSweep::read_clock(clockid_t clock) const {
  timespec now{};
  calls_.clock_gettime(clock, &now);
  return now;
}

void TmpSweep::on_delivered(const MailboxPath& path) {
  const time_t now = read_clock(CLOCK_BOOTTIME).tv_sec;
  while (!swept_.empty() && now - swept_.front().at >= kDay) {
    known_.erase(swept_.front().mailbox);
    swept_.pop_front();
  }
  if (waiting_.size() >= kMostWaiting || known_.size() >= kMostRemembered) return;
  if (known_.insert(hash_of(path)).second) waiting_.push_back(path);
}

void TmpSweep::start_next() {
  current_.emplace(Sweep{.mailbox = std::move(waiting_.front()), .tmp = nullptr});
  waiting_.pop_front();
  swept_.push_back({read_clock(CLOCK_BOOTTIME).tv_sec, hash_of(current_->mailbox)});
  UniqueFd tmp =
      open_beneath(base_.get(), current_->mailbox.value() + "/tmp", O_RDONLY | O_NOFOLLOW);
  if (tmp) current_->tmp.reset(::fdopendir(tmp.get()));
  if (current_->tmp) {
    [[maybe_unused]] const int owned_by_directory = tmp.release();
    return;
  }
  if (errno != ENOENT) {
    log_warning("{}",
                errno_text("looking for old files in tmp/ of " + escaped(current_->mailbox.value()),
                           errno));
  }
  current_.reset();
}

void TmpSweep::step() {
  if (!current_) {
    if (!waiting_.empty()) start_next();
    if (!current_) return;
  }
  const timespec now = read_clock(CLOCK_REALTIME);
  for (int i = 0; i < kEntriesAStep; ++i) {
    errno = 0;
    const dirent* entry = ::readdir(current_->tmp.get());
    if (entry == nullptr) {
      if (errno != 0) {
        ++current_->failures;
        current_->last_error = errno;
      }
      return finish();
    }
    examine(*entry, now);
  }
}

void TmpSweep::examine(const dirent& entry, timespec now) {
  const bool may_be_file = entry.d_type == DT_REG || entry.d_type == DT_UNKNOWN;
  if (entry.d_name[0] == '.' || !may_be_file) return;
  const int tmp = ::dirfd(current_->tmp.get());
  struct stat status{};
  if (::fstatat(tmp, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) return;  // it is gone
  if (!S_ISREG(status.st_mode) || !is_abandoned(status.st_ctim, now)) return;
  if (calls_.unlinkat(tmp, entry.d_name, 0) == 0) {
    ++current_->removed;
  } else if (errno != ENOENT) {
    ++current_->failures;
    current_->last_error = errno;
  }
}

void TmpSweep::finish() {
  const std::string mailbox = escaped(current_->mailbox.value());
  if (current_->removed > 0) {
    log_info("removed {} files older than 36 hours from tmp/ of {}", current_->removed, mailbox);
  }
  if (current_->failures > 0) {
    log_warning("{} old files stay in tmp/ of {}", current_->failures,
                errno_text(mailbox, current_->last_error));
  }
  current_.reset();
}

}  // namespace lmtpd::maildir
