#include "lmtpd/master/mailbox_maker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>
#include <string_view>

#include "lmtpd/base/disk_error.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd {
namespace {

constexpr mode_t kParentMode = 0711;
constexpr mode_t kMailboxMode = 0700;

class ScopedUmask {
 public:
  explicit ScopedUmask(mode_t mask) : before_(::umask(mask)) {}
  ~ScopedUmask() { ::umask(before_); }
  ScopedUmask(const ScopedUmask&) = delete;
  ScopedUmask& operator=(const ScopedUmask&) = delete;

 private:
  mode_t before_;
};

// What is made for whom, for the texts.
struct Request {
  const std::string& path;
  MailboxOwner owner;
};

tl::unexpected<Error> failed(std::string_view call, std::string_view path, int error) {
  return tl::unexpected(disk_error(fmt::format("{} {}", call, escaped(path)), error));
}

// A directory of the walk, open for reading, and its name: a prefix of the path, or the base's.
struct Directory {
  UniqueFd fd;
  std::string name;
};

UniqueFd open_directory(int parent, const std::string& name) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, parent, name.c_str(), &how, sizeof how)));
}

tl::unexpected<Error> open_failed(const std::string& path, int error) {
  if (error == ELOOP || error == ENOTDIR) {
    return fail(Reason::no_access,
                fmt::format("{} is a symbolic link or no directory: no mailbox is made through it",
                            escaped(path)));
  }
  return failed("open", path, error);
}

Result<void> check_parent(const Directory& parent, const Request& request) {
  struct stat status{};
  if (::fstat(parent.fd.get(), &status) != 0) return failed("stat", parent.name, errno);
  if (status.st_uid == 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0) return {};
  return fail(
      Reason::no_access,
      fmt::format("mailbox {} of uid {} is missing, and is not made in {}, which belongs to "
                  "uid {} and has mode {:04o}: make it by hand, or give {} to root with a "
                  "mode that lets no one else write",
                  escaped(request.path), request.owner.uid.value(), escaped(parent.name),
                  status.st_uid, status.st_mode & 07777U, escaped(parent.name)));
}

Result<void> sync(const Directory& directory) {
  if (::fsync(directory.fd.get()) != 0) return failed("fsync", directory.name, errno);
  return {};
}

// `made` gets its owner and mode, whatever the parent's setgid bit or default ACL made of it.
Result<void> settle(const Directory& made, MailboxOwner owner, mode_t mode) {
  if (::fchown(made.fd.get(), owner.uid.value(), owner.gid.value()) != 0) {
    return failed("chown", made.name, errno);
  }
  if (::fchmod(made.fd.get(), mode) != 0) return failed("chmod", made.name, errno);
  return sync(made);
}

// The directory `name` in `parent`, made if it is missing.
Result<Directory> enter(const Directory& parent, const std::string& name, const std::string& path,
                        const Request& request) {
  Directory next{open_directory(parent.fd.get(), name), path};
  if (next.fd) return next;
  if (errno != ENOENT) return open_failed(path, errno);

  const Result<void> allowed = check_parent(parent, request);
  if (!allowed) return tl::unexpected(allowed.error());
  const bool made = ::mkdirat(parent.fd.get(), name.c_str(), kParentMode) == 0;
  if (!made && errno != EEXIST) return failed("mkdir", path, errno);
  next.fd = open_directory(parent.fd.get(), name);
  if (!next.fd) return open_failed(path, errno);
  if (made) {
    const Result<void> settled = settle(next, MailboxOwner{Uid(0), Gid(0)}, kParentMode);
    if (!settled) return tl::unexpected(settled.error());
  }
  const Result<void> synced = sync(parent);
  if (!synced) return tl::unexpected(synced.error());
  return next;
}

// Success if `found` is the mailbox that was asked for.
Result<void> check_mailbox(const Directory& found, const Request& request) {
  struct stat status{};
  if (::fstat(found.fd.get(), &status) != 0) return failed("stat", found.name, errno);
  if (status.st_uid == request.owner.uid.value()) return {};
  return fail(Reason::no_access,
              fmt::format("mailbox {} of uid {} is there already and belongs to uid {}",
                          escaped(request.path), request.owner.uid.value(), status.st_uid));
}

// The same for every helper that makes this mailbox. So what one that died has left behind is found
// without listing the parent, which may hold a million mailboxes.
std::string temporary_name(std::string_view name) {
  return fmt::format(".lmtpd.{:016x}", std::hash<std::string_view>{}(name));
}

// Renames `temporary` to be the mailbox. Whether this helper made it, one that died, or a rival
// that is at it: it lies in a directory that only root can write, and belongs to root or this
// owner.
Result<void> settle_and_rename(const Directory& parent, const std::string& temporary,
                               const std::string& name, const Request& request) {
  const Directory made{open_directory(parent.fd.get(), temporary), request.path};
  if (!made.fd) return open_failed(request.path, errno);
  struct stat status{};
  if (::fstat(made.fd.get(), &status) != 0) return failed("stat", request.path, errno);
  if (status.st_uid != 0 && status.st_uid != request.owner.uid.value()) {
    return fail(
        Reason::no_access,
        fmt::format("mailbox {} of uid {} is not made: {} beside it belongs to uid {}",
                    escaped(request.path), request.owner.uid.value(), temporary, status.st_uid));
  }
  Result<void> settled = settle(made, request.owner, kMailboxMode);
  if (!settled) return settled;
  if (::renameat2(parent.fd.get(), temporary.c_str(), parent.fd.get(), name.c_str(),
                  RENAME_NOREPLACE) != 0) {
    return failed("rename into place", request.path, errno);
  }
  return {};
}

Result<void> provide_mailbox(const Directory& parent, const std::string& name,
                             const Request& request) {
  const Directory found{open_directory(parent.fd.get(), name), request.path};
  if (found.fd) return check_mailbox(found, request);
  if (errno != ENOENT) return open_failed(request.path, errno);

  Result<void> result = check_parent(parent, request);
  if (!result) return result;
  const std::string temporary = temporary_name(name);
  if (::mkdirat(parent.fd.get(), temporary.c_str(), kMailboxMode) != 0 && errno != EEXIST) {
    return failed("mkdir", request.path, errno);
  }
  result = settle_and_rename(parent, temporary, name, request);
  if (!result) {
    ::unlinkat(parent.fd.get(), temporary.c_str(), AT_REMOVEDIR);
    // Another helper was faster?
    const Directory rival{open_directory(parent.fd.get(), name), request.path};
    if (!rival.fd) return result;
    result = check_mailbox(rival, request);
    if (!result) return result;
  }
  return sync(parent);
}

}  // namespace

Result<void> make_mailbox(int base, const MailboxPath& path, MailboxOwner owner) {
  const Request request{path.value(), owner};
  if (owner.uid.value() == 0 || owner.gid.value() == 0) {
    return fail(Reason::no_access,
                fmt::format("mailbox {}: none is made for uid {}, gid {}", escaped(request.path),
                            owner.uid.value(), owner.gid.value()));
  }
  const ScopedUmask umask(0);
  Directory directory{open_directory(base, "."), "virtual_mailbox_base"};
  if (!directory.fd) return failed("open", directory.name, errno);
  std::size_t start = 0;
  for (std::size_t slash = 0; (slash = request.path.find('/', start)) != std::string::npos;
       start = slash + 1) {
    Result<Directory> next = enter(directory, request.path.substr(start, slash - start),
                                   request.path.substr(0, slash), request);
    if (!next) return tl::unexpected(next.error());
    directory = *std::move(next);
  }
  return provide_mailbox(directory, request.path.substr(start), request);
}

}  // namespace lmtpd
