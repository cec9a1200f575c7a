// lmtpd/sync/sync_server.h -- the committer's side of shared_sync.h, for one file system.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "lmtpd/base/counters.h"
#include "lmtpd/base/result.h"
#include "lmtpd/base/shared_memory.h"
#include "lmtpd/base/shared_sync.h"
#include "lmtpd/base/ticket.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::sync {

struct SyncedFileSystem {
  std::string path;  // for the log
  UniqueFd root;     // from an open(2) that nobody else shares: an error is told once to each
};

class SyncServer {
 public:
  // After a sync that has failed, or took longer than `slow`, nobody waits for one for this long.
  static constexpr std::chrono::seconds kRest{10};

  // `page` is a SyncPage, open for reading and writing, `bell` a SyncBell; neither is needed
  // afterwards. `counters` outlives it. Begins an era: the errors before `file_system.root` was
  // opened are not known here. Fails with io.
  [[nodiscard]] static Result<SyncServer> open(SyncedFileSystem file_system, const UniqueFd& page,
                                               const UniqueFd& bell, Counters& counters,
                                               Clock::duration slow, int (*syncfs)(int) = ::syncfs);

  // Waits until somebody rings, and for others who are about to, and syncs.
  void serve();

 private:
  SyncServer(SyncedFileSystem file_system, SharedMemory<SyncPage> page,
             SharedMemory<const SyncBell> bell, Counters& counters, Clock::duration slow,
             int (*syncfs)(int));
  void wait_for_ring() const;

  SyncedFileSystem file_system_;
  SharedMemory<SyncPage> page_;
  SharedMemory<const SyncBell> bell_;
  Counters* counters_;
  Clock::duration slow_;
  int (*syncfs_)(int);
  Clock::duration took_{};  // the last one
};

}  // namespace lmtpd::sync
