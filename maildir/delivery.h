// maildir/delivery.h -- put a group of messages into maildirs, durably.
//
// An outcome is `stored` only after the message's octets, its name in new/ and every directory made
// on the way are on disk, and after that was proven: a 0 from the last sync is no proof, since
// after a journal abort fsync(2) of a directory can return 0 with the name gone; but a journalled
// operation fails then. So each message is written to tmp/, synced, linked into new/, new/ is
// synced, and the message counts if unlinking the name in tmp/ succeeds after that. Nor is a 0 from
// a file's fsync(2) on ext4, which may have dropped the pages before: none may be missing then.
//
// A group shares its syncs: all is written and its write-out started before the first fsync(2), and
// each new/ is synced once. Where the file system has a shared sync (lmtpd/base/shared_sync.h),
// that is waited for in place of both, but for a large file, which has its own; and whatever no
// shared sync has come for is synced here, by a descriptor that is older than the write. The
// failure of one message leaves its neighbours alone. A failed sync is never tried again in its
// group: the kernel may have dropped the pages and would report success. Later groups have the
// proof: what could not be written has aborted the journal. After a failure nothing stays in tmp/;
// nothing partial ever shows in new/. A message whose last sync or proof failed stays in new/
// though it is reported as not stored: delivered twice, never lost, and with the reason io whatever
// the errno, so that nobody bounces it.
//
// Runs as the mailbox owner, with a umask that leaves the owner's bits and with SIGXFSZ ignored.
// Blocking: call it from a worker, never from an event loop. deliver() may run in several threads
// at a time.
// Fails with a Reason: no_space, no_access, io, over_quota (lmtpd/base/disk_error.h).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/result.h"
#include "lmtpd/base/shared_sync.h"
#include "lmtpd/base/types.h"
#include "lmtpd/base/unique_fd.h"
#include "maildir/chain.h"
#include "maildir/disk_calls.h"
#include "maildir/unique_name.h"

namespace lmtpd::maildir {

// One message for one mailbox. Holds nothing: all it names outlives the call.
struct Delivery {
  const MailboxPath* path = nullptr;
  std::string_view headers;
  std::string_view body;
  int body_fd = -1;  // where not -1: the body is this descriptor's first body_size octets,
  std::uint64_t body_size = 0;  // read with pread(2), which cannot change while it is read
  std::uint64_t wire_size = 0;  // octets of headers and body with each line end as CRLF
};

struct Outcome {
  enum class Kind {
    stored,
    missing_mailbox,  // it is missing, and its parent is not this uid's: have it made, try again
    failed,           // `error` says why
  };
  Kind kind = Kind::failed;
  Error error{Reason::io, "not tried"};
};

class Deliverer {
 public:
  struct Options {
    std::string host;                            // in the messages' names
    bool fsync = true;                           // false: no sync of any kind, and no promise
    std::size_t largest_group = 256;             // messages; each holds up to three descriptors
    std::map<dev_t, SharedSync> shared_syncs{};  // of the file systems that have one
    DiskCalls calls{};
  };

  // `base` is the directory that mailbox paths are beneath; O_PATH serves.
  // Fails if it cannot be looked at.
  [[nodiscard]] static Result<Deliverer> open(UniqueFd base, Options options);

  // One outcome for each delivery, in their order. A longer span than largest_group goes in parts.
  // `alone`: nobody else delivers, so its own syncs are faster than a shared one.
  [[nodiscard]] std::vector<Outcome> deliver(std::span<const Delivery> deliveries,
                                             bool alone = false) const;

 private:
  Deliverer(UniqueFd base, FileId base_id, Options options);
  void deliver_group(std::span<const Delivery> deliveries, std::span<Outcome> outcomes,
                     bool alone) const;

  UniqueFd base_;
  FileId base_id_;
  Options options_;
  UniqueNames names_;
  std::unique_ptr<SyncedChains> synced_chains_;
};

}  // namespace lmtpd::maildir
