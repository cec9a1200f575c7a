// maildir/chain.h -- the directories from a new mailbox up to the base are on disk before its mail
// is.
//
// A name is durable only once the directory that holds it is synced, and so on up to what was there
// before. Nobody knows who made a directory on the way (this worker, the root helper, Dovecot, an
// administrator's script) nor whether they synced it; but whoever made or moved a mailbox, or made
// something in it, set its ctime. So a mailbox whose ctime is less than a minute old gets every
// directory up to the base synced.
//
// Directories that may not be opened for reading (the root helper's have mode 0711) cannot be
// synced one by one: one syncfs(2) of the mailbox's file system serves them all, for the whole
// group.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <compare>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "lmtpd/base/result.h"
#include "maildir/disk_calls.h"

namespace lmtpd::maildir {

struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  auto operator<=>(const FileId&) const = default;
};

// A mailbox directory as it was when its chain was looked at.
struct MailboxState {
  FileId id;
  timespec ctime{};
};

// Of the mailbox whose new/ is `new_dir`. Fails with errno's reason.
[[nodiscard]] Result<MailboxState> mailbox_state(int new_dir);

// The mailboxes whose chains are on disk, so that a busy new one pays for it once. Forgets whatever
// is a minute old; bounded. Several threads may use it.
class SyncedChains {
 public:
  // `now` is of CLOCK_REALTIME, as a ctime is.
  [[nodiscard]] bool need_sync(const MailboxState& mailbox, timespec now) const;
  // `then` is when its state was looked at.
  void remember(const MailboxState& mailbox, timespec then);

 private:
  mutable std::mutex mutex_;
  std::map<FileId, timespec> ctimes_;
};

// Syncs the chains of one group's mailboxes, each directory and each file system once: all of them
// are open, and what was missing is made, before the first sync().
class GroupChains {
 public:
  GroupChains(const DiskCalls& calls, FileId base) : calls_(calls), base_(base) {}

  // All directories from the parent of `new_dir` up to and with the base. Once that has failed, it
  // fails: another try could report success. A failed sync's reason is io, whatever the errno: it
  // may be that of another's file.
  [[nodiscard]] Result<void> sync(int new_dir);

 private:
  [[nodiscard]] Result<void> try_to_sync(int new_dir);

  const DiskCalls& calls_;
  FileId base_;
  std::set<FileId> directories_;  // synced, and all above them
  std::set<dev_t> file_systems_;  // synced as a whole
  std::optional<Error> failure_;
};

}  // namespace lmtpd::maildir
