// lmtpd/sync/sync_server.h -- the committer's side of shared_sync.h, for one file system.
#pragma once

#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>

#include "lmtpd/base/result.h"
#include "lmtpd/base/shared_sync.h"
#include "lmtpd/base/ticket.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::sync {

struct SyncedFileSystem {
  std::string path;  // for the log
  UniqueFd root;     // from an open(2) that nobody else shares: an error is told once to each
  UniqueFd bell;     // the end of a pipe that is read, which blocks
};

class SyncServer {
 public:
  // After a sync that has failed, or took longer than `slow`, nobody waits for one for this long.
  static constexpr std::chrono::seconds kRest{10};

  // `page` is as make_sync_page() made it. Begins an era: the errors before `file_system.root` was
  // opened are not known here. Fails with io.
  [[nodiscard]] static Result<SyncServer> open(SyncedFileSystem file_system, const UniqueFd& page,
                                               Clock::duration slow, int (*syncfs)(int) = ::syncfs);

  // Waits until somebody rings, and syncs. False: the bell is gone.
  [[nodiscard]] bool serve();

 private:
  using Page = std::unique_ptr<SyncPage, UnmapSyncPage>;
  SyncServer(SyncedFileSystem file_system, Page page, Clock::duration slow, int (*syncfs)(int));

  SyncedFileSystem file_system_;
  Page page_;
  Clock::duration slow_;
  int (*syncfs_)(int);
};

}  // namespace lmtpd::sync
