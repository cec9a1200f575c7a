#include "lmtpd/master/shared_syncs.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "lmtpd/base/log.h"
#include "lmtpd/base/messages.h"
#include "lmtpd/base/shared_memory.h"
#include "lmtpd/base/shared_sync.h"
#include "lmtpd/base/whole_file.h"
#include "lmtpd/master/descriptors.h"

namespace lmtpd::master {
namespace {

Result<std::vector<MountPoint>> list_mounts(const std::string& mail_base) {
  std::error_code error;
  const std::filesystem::path base = std::filesystem::canonical(mail_base, error);
  if (error) return fail(Reason::io, mail_base + ": " + error.message());
  constexpr const char* kList = "/proc/self/mountinfo";
  const UniqueFd file(::open(kList, O_RDONLY | O_CLOEXEC));
  if (!file) return fail(Reason::io, errno_text(kList, errno));
  const Result<std::string> text = read_whole_file(kList, file.get());
  if (!text) return tl::unexpected(text.error());
  return mounts_below(*text, base.string());
}

bool kernel_serves() {
  utsname kernel{};
  if (::uname(&kernel) == 0 && reports_sync_errors(kernel.release)) return true;
  log_info("Linux {} does not report all errors of syncfs: each delivery syncs by itself",
           kernel.release);
  return false;
}

// Each costs the committer a thread, and each worker two mappings.
constexpr std::size_t kMost = 64;

UniqueFd open_root(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// That of mountinfo may be another mount's at the same path.
bool has_type(const UniqueFd& root, std::string_view type) {
  struct statfs status{};
  if (!root || ::fstatfs(root.get(), &status) != 0) return false;
  constexpr long kXfs = 0x58465342;  // "XFSB": in no header of the kernel's for programs
  return status.f_type == (type == "xfs" ? kXfs : long{BTRFS_SUPER_MAGIC});
}

std::optional<dev_t> device_of(const UniqueFd& root) {
  struct stat status{};
  if (!root || ::fstat(root.get(), &status) != 0) return std::nullopt;
  return status.st_dev;
}

// The page and the bell for a receiver of its own.
Result<std::vector<UniqueFd>> descriptors(UniqueFd page, UniqueFd bell) {
  if (!page || !bell) return fail(Reason::io, errno_text("a shared sync's memory", errno));
  std::vector<UniqueFd> list;
  list.push_back(std::move(page));
  list.push_back(std::move(bell));
  return list;
}

}  // namespace

Result<SharedSyncs::FileSystem> SharedSyncs::make(const MountPoint& mount, dev_t device) {
  Result<UniqueFd> page = make_shared_memory<SyncPage>();
  if (!page) return tl::unexpected(page.error());
  Result<UniqueFd> bell = make_shared_memory<SyncBell>();
  if (!bell) return tl::unexpected(bell.error());
  return FileSystem{mount, device, *std::move(page), *std::move(bell)};
}

SharedSyncs SharedSyncs::find(const Settings& settings) {
  SharedSyncs found;
  if (!settings.fsync || settings.commit_file_systems.empty() || !kernel_serves()) return found;
  const Result<std::vector<MountPoint>> mounts = list_mounts(settings.virtual_mailbox_base);
  if (!mounts) {
    log_warning("{}: each delivery syncs by itself", mounts.error().text);
    return found;
  }
  for (const MountPoint& mount : *mounts) {
    // One of another type is not even opened: a network's may hang.
    if (std::ranges::count(settings.commit_file_systems, mount.type) == 0) continue;
    const UniqueFd root = open_root(mount.path);
    const std::optional<dev_t> device = device_of(root);
    if (!device || !has_type(root, mount.type) ||
        std::ranges::count(found.file_systems_, *device, &FileSystem::device) != 0) {
      continue;
    }
    if (found.file_systems_.size() == kMost) {
      log_warning("more than {} file systems: each delivery syncs by itself on {} and those behind",
                  kMost, escaped(mount.path));
      break;
    }
    Result<FileSystem> made = make(mount, *device);
    if (!made) {
      log_warning("{}: each delivery syncs by itself on {}", made.error().text,
                  escaped(mount.path));
      continue;
    }
    log_info("{} ({}): one sync serves all deliveries that wait", escaped(mount.path), mount.type);
    found.file_systems_.push_back(std::move(*made));
  }
  return found;
}

Result<void> SharedSyncs::brief_committer(RoleProcess& committer) const {
  for (const FileSystem& each : file_systems_) {
    UniqueFd root = open_root(each.mount.path);
    if (!root || device_of(root) != each.device || !has_type(root, each.mount.type)) {
      log_warning("{}: each delivery syncs by itself until the committer's next start: {}",
                  escaped(each.mount.path),
                  root ? "another file system is mounted there" : std::strerror(errno));
      continue;
    }
    auto handed = descriptors(duplicate(each.page.get()), reopen(each.bell.get()));
    if (!handed) return tl::unexpected(handed.error());
    handed->push_back(std::move(root));
    committer.tell(FileSystemToSync{.path = each.mount.path}, std::move(*handed));
  }
  return {};
}

Result<void> SharedSyncs::brief_worker(RoleProcess& worker) const {
  for (const FileSystem& each : file_systems_) {
    auto handed = descriptors(reopen(each.page.get()), duplicate(each.bell.get()));
    if (!handed) return tl::unexpected(handed.error());
    worker.tell(SharedSyncOf{.device = each.device}, std::move(*handed));
  }
  return {};
}

}  // namespace lmtpd::master
