// lmtpd/master/mount_list.h -- the file systems below virtual_mailbox_base, as the kernel lists
// them (proc_pid_mountinfo(5)). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lmtpd::master {

struct MountPoint {
  std::string path;
  std::string type;  // "xfs"
  bool operator==(const MountPoint&) const = default;
};

// The base itself, with the type of what it lies on, and every mount point below it; sorted by
// path. A mount covers those before it at its path and below. `base` is absolute and
// free of symbolic links. Lines that are none are passed over.
[[nodiscard]] std::vector<MountPoint> mounts_below(std::string_view mountinfo,
                                                   std::string_view base);

// Whether `release` (uname(2)) is 5.17 or later: before, syncfs(2) did not return all errors.
[[nodiscard]] bool reports_sync_errors(std::string_view release);

}  // namespace lmtpd::master
