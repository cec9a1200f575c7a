#include "maildir/chain.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <vector>

#include "lmtpd/base/disk_error.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::maildir {
namespace {

constexpr time_t kYoung = 60;  // seconds
constexpr std::size_t kMostRemembered = 4096;

// Two changes within one tick of the kernel's clock leave the same ctime.
constexpr std::int64_t kTick = 20'000'000;  // nanoseconds

bool is_young(timespec ctime, timespec now) {
  // A ctime in the future counts as young: the clock was set back since.
  return ctime.tv_sec > now.tv_sec - kYoung;
}

bool is_settled(timespec ctime, timespec now) {
  return (now.tv_sec - ctime.tv_sec) * 1'000'000'000 + (now.tv_nsec - ctime.tv_nsec) > kTick;
}

struct Directory {
  UniqueFd fd;
  FileId id;
  bool readable = true;
};

Result<Directory> open_parent(int child) {
  Directory parent;
  parent.fd = UniqueFd(::openat(child, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.fd && errno == EACCES) {
    parent.readable = false;
    parent.fd = UniqueFd(::openat(child, "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  if (!parent.fd) return tl::unexpected(disk_error("open a directory above the mailbox", errno));
  struct stat status{};
  if (::fstat(parent.fd.get(), &status) != 0) {
    return tl::unexpected(disk_error("stat a directory above the mailbox", errno));
  }
  parent.id = FileId{status.st_dev, status.st_ino};
  return parent;
}

}  // namespace

Result<MailboxState> mailbox_state(int new_dir) {
  struct stat status{};
  if (::fstatat(new_dir, "..", &status, 0) != 0) {
    return tl::unexpected(disk_error("stat the mailbox directory", errno));
  }
  return MailboxState{{status.st_dev, status.st_ino}, status.st_ctim};
}

bool SyncedChains::need_sync(const MailboxState& mailbox, timespec now) const {
  if (!is_young(mailbox.ctime, now)) return false;
  const std::lock_guard lock(mutex_);
  const auto known = ctimes_.find(mailbox.id);
  return known == ctimes_.end() || known->second.tv_sec != mailbox.ctime.tv_sec ||
         known->second.tv_nsec != mailbox.ctime.tv_nsec;
}

void SyncedChains::remember(const MailboxState& mailbox, timespec then) {
  if (!is_settled(mailbox.ctime, then)) return;
  const std::lock_guard lock(mutex_);
  if (ctimes_.size() >= kMostRemembered) {
    std::erase_if(ctimes_, [&](const auto& known) { return !is_young(known.second, then); });
    if (ctimes_.size() >= kMostRemembered) ctimes_.clear();
  }
  ctimes_[mailbox.id] = mailbox.ctime;
}

Result<void> GroupChains::sync(int new_dir) {
  if (failure_) return tl::unexpected(*failure_);
  Result<void> synced = try_to_sync(new_dir);
  if (!synced) failure_ = synced.error();
  return synced;
}

Result<void> GroupChains::try_to_sync(int new_dir) {
  std::vector<Directory> chain;
  int child = new_dir;
  bool all_readable = true;
  while (true) {
    Result<Directory> parent = open_parent(child);
    if (!parent) return tl::unexpected(parent.error());
    if (directories_.contains(parent->id)) break;
    if (!chain.empty() && parent->id == chain.back().id) {  // the root of all
      return fail(Reason::io, "the directories above the mailbox do not lead to the base");
    }
    const bool is_base = parent->id == base_;
    all_readable = all_readable && parent->readable;
    child = parent->fd.get();
    chain.push_back(*std::move(parent));
    if (is_base) break;
  }

  if (!all_readable) {
    // The file system of new/ and of all that was just made. An unreadable directory on another one
    // lies above a mount point, which was there before anything on this one.
    struct stat status{};
    if (::fstat(new_dir, &status) != 0) return tl::unexpected(disk_error("stat new/", errno));
    if (!file_systems_.contains(status.st_dev)) {
      if (calls_.syncfs(new_dir) != 0) {
        return fail(Reason::io, errno_text("syncfs for the directories above the mailbox", errno));
      }
      file_systems_.insert(status.st_dev);
    }
  }
  for (const Directory& directory : chain) {
    if (!directory.readable || file_systems_.contains(directory.id.device)) continue;
    if (calls_.fsync(directory.fd.get()) != 0) {
      return fail(Reason::io, errno_text("fsync a directory above the mailbox", errno));
    }
  }
  for (const Directory& directory : chain) directories_.insert(directory.id);
  return {};
}

}  // namespace lmtpd::maildir
