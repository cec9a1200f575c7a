// maildir/tmp_sweep.h -- removes from tmp/ what nobody will ever finish.
//
// A delivery whose process or machine died leaves its file in tmp/. By
// https://cr.yp.to/proto/maildir.html such a file may go once nobody touched it for 36 hours. Its
// ctime tells: every write, link and change of mode renews it, and no program can set it. The mtime
// can be years old while a file is being written (Dovecot gives a saved message its received date
// before it leaves tmp/); the access time is kept up by backups, or, with noatime, by nothing. It
// is the wall clock's: one that leaps 36 hours ahead makes old what is being written.
//
// A mailbox is swept after a delivery into it, once a day. What was swept is remembered in memory
// alone: a worker that was started again looks again, which costs an empty tmp/ some 20
// microseconds. (The times of tmp/ cannot tell: deliveries and readers change them.) The memory is
// bounded; beyond it a mailbox waits for another day, so that none is ever swept too often.
//
// Removes plain files only, none whose name begins with a dot, and follows no symbolic link in
// tmp/ nor tmp/ itself where it is one. Nothing is synced: a name that comes back after a crash
// goes the next time.
#pragma once

#include <dirent.h>
#include <time.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_set>

#include "lmtpd/base/types.h"
#include "lmtpd/base/unique_fd.h"
#include "maildir/disk_calls.h"

namespace lmtpd::maildir {

class TmpSweep {
 public:
  // Directory entries that one step() looks at.
  static constexpr int kEntriesAStep = 64;
  // Mailboxes that wait to be swept, and those remembered as swept within a day.
  static constexpr std::size_t kMostWaiting = 256;
  static constexpr std::size_t kMostRemembered = 65'536;

  // `base` is the directory that mailbox paths are beneath; O_PATH serves.
  explicit TmpSweep(UniqueFd base, DiskCalls calls = {}) : base_(std::move(base)), calls_(calls) {}

  // A message was stored there. Touches no file.
  void on_delivered(const MailboxPath& path);

  [[nodiscard]] bool has_work() const { return current_ || !waiting_.empty(); }

  // A bounded part of the work; to be called when nothing else is to be done. What cannot be
  // removed stays, and the log says so once a sweep.
  void step();

 private:
  struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
  };
  struct Sweep {
    MailboxPath mailbox;
    std::unique_ptr<DIR, CloseDirectory> tmp;
    int removed = 0;
    int failures = 0;
    int last_error = 0;  // errno of the last failure
  };
  struct Swept {
    time_t at;  // seconds of CLOCK_BOOTTIME
    std::size_t mailbox;
  };

  void start_next();
  void examine(const dirent& entry, timespec now);
  void finish();
  [[nodiscard]] timespec read_clock(clockid_t clock) const;

  UniqueFd base_;
  DiskCalls calls_;
  std::deque<MailboxPath> waiting_;
  std::optional<Sweep> current_;
  std::unordered_set<std::size_t> known_;  // hashes of the paths that wait or were swept
  std::deque<Swept> swept_;                // the oldest first
};

}  // namespace lmtpd::maildir
