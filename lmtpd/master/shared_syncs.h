// lmtpd/master/shared_syncs.h -- which file systems have a shared sync (lmtpd/base/shared_sync.h),
// and what the committer and the workers get of each.
#pragma once

#include <sys/types.h>

#include <vector>

#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/result.h"
#include "lmtpd/base/unique_fd.h"
#include "lmtpd/master/mount_list.h"
#include "lmtpd/master/role_process.h"

namespace lmtpd::master {

class SharedSyncs {
 public:
  // Those of virtual_mailbox_base and of what is mounted below it now, whose type is one of
  // commit_file_systems, 64 at most; none with `fsync = no`, and none before Linux 5.17. Where it
  // fails, that is logged, and each delivery syncs by itself.
  [[nodiscard]] static SharedSyncs find(const Settings& settings);

  [[nodiscard]] bool empty() const { return file_systems_.empty(); }

  // One FileSystemToSync or SharedSyncOf for each. The committer's has the file system opened anew,
  // and is left out where it cannot be opened or something else is mounted there by now.
  [[nodiscard]] Result<void> brief_committer(RoleProcess& committer) const;
  [[nodiscard]] Result<void> brief_worker(RoleProcess& worker) const;

 private:
  struct FileSystem {
    MountPoint mount;
    dev_t device = 0;
    UniqueFd page;
    UniqueFd bell;
  };
  [[nodiscard]] static Result<FileSystem> make(const MountPoint& mount, dev_t device);

  std::vector<FileSystem> file_systems_;
};

}  // namespace lmtpd::master
