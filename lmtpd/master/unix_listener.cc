#include "lmtpd/master/unix_listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "lmtpd/base/config/values.h"
#include "lmtpd/base/log.h"
#include "lmtpd/master/file_identity.h"
#include "lmtpd/master/socket_server.h"

namespace lmtpd::master {
namespace {

// Of net.core.somaxconn, which caps it.
constexpr int kBacklog = 4096;
constexpr std::string_view kTemporarySuffix = ".new";
static_assert(kLongestSocketPath + kTemporarySuffix.size() < sizeof(sockaddr_un::sun_path));

constexpr MailboxOwner kRoot{Uid(0), Gid(0)};

struct Place {
  std::string directory;
  std::string name;
};

Place split(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

StartResult<UniqueFd> open_directory(const std::string& path, const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (fd) return fd;
  return configuration_failure(
      errno_text(fmt::format("socket {}: directory {}", path, directory), errno));
}

// Absent, or a socket.
StartResult<void> check_replaceable(int directory, const std::string& name,
                                    const std::string& path) {
  struct stat found{};
  if (::fstatat(directory, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    const std::string text = errno_text(fmt::format("socket {}", path), errno);
    if (errno == EACCES) return configuration_failure(text);
    return system_failure(text);
  }
  if (S_ISSOCK(found.st_mode)) return {};
  return configuration_failure(
      fmt::format("socket {}: what is there is not a socket, and is not replaced", path));
}

// As root, to whom every socket's mode is open. One of this process, a reload's, may be replaced.
StartResult<void> check_unserved(const std::string& path) {
  const std::optional<std::string> server = other_server_of(path);
  if (!server) return {};
  return system_failure(
      fmt::format("socket {}: {} takes connections there, and keeps it", path, *server));
}

// Whether nobody but root can change what stands in the directory, or rename root's files in it.
bool is_roots_alone(const struct stat& directory) {
  return directory.st_uid == 0 &&
         ((directory.st_mode & (S_IWGRP | S_IWOTH)) == 0 || (directory.st_mode & S_ISVTX) != 0);
}

// Binds to `path`, which is `name` in `directory`, in place of what an lmtpd that was killed left
// there.
StartResult<void> bind_anew(int socket, int directory, const std::string& name,
                            const std::string& path) {
  StartResult<void> checked = check_replaceable(directory, name, path);
  if (!checked) return checked;
  ::unlinkat(directory, name.c_str(), 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::ranges::copy(path, address.sun_path);
  const mode_t mask = ::umask(0);
  const int bound = ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::umask(mask);
  if (bound == 0) return {};
  std::string text = errno_text(fmt::format("socket {}: bind", path), error);
  if (error == EACCES) return configuration_failure(std::move(text));
  return system_failure(std::move(text));
}

}  // namespace

std::string real_place(const std::string& path) {
  const Place place = split(path);
  std::error_code error;
  const std::filesystem::path directory = std::filesystem::canonical(place.directory, error);
  return error ? path : (directory / place.name).string();
}

StartResult<void> check_unix_place(const std::string& path) {
  const Place place = split(path);
  const StartResult<UniqueFd> directory = open_directory(path, place.directory);
  if (!directory) return tl::unexpected(directory.error());
  return check_replaceable(directory->get(), place.name, path);
}

StartResult<UnixListener> UnixListener::prepare(const std::string& path,
                                                const SocketAccess& access) {
  if (StartResult<void> checked = check_unix_place(path); !checked) {
    return tl::unexpected(std::move(checked.error()));
  }
  Place place = split(path);
  StartResult<UniqueFd> directory = open_directory(path, place.directory);
  if (!directory) return tl::unexpected(std::move(directory.error()));

  UnixListener made;
  made.path_ = path;
  made.place_ = std::move(place.name);
  made.directory_ = std::move(*directory);
  made.socket_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  struct stat parent{};
  // The mode of the unbound socket is the mode that bind() gives the file.
  if (!made.socket_ || ::fchmod(made.socket_.get(), access.mode) != 0 ||
      ::fstat(made.directory_.get(), &parent) != 0) {
    return system_failure(errno_text(fmt::format("socket {}", path), errno));
  }
  const bool as_root = is_roots_alone(parent);
  made.actor_ = as_root ? kRoot : access.owner;

  const std::string temporary = made.place_ + std::string(kTemporarySuffix);
  const std::string temporary_path = path + std::string(kTemporarySuffix);
  StartResult<void> free = check_unserved(path);
  if (free) free = check_replaceable(made.directory_.get(), temporary, temporary_path);
  if (free) free = check_unserved(temporary_path);
  if (!free) return tl::unexpected(std::move(free.error()));
  const ActingAs acting(made.actor_);
  StartResult<void> bound =
      bind_anew(made.socket_.get(), made.directory_.get(), temporary, temporary_path);
  if (!bound) {
    if (!as_root) {
      bound.error().text +=
          fmt::format("; directory {} belongs to uid {}, and listen_owner is uid {}",
                      place.directory, parent.st_uid, access.owner.uid.value());
    }
    return tl::unexpected(std::move(bound.error()));
  }
  struct stat file{};
  if (::fstatat(made.directory_.get(), temporary.c_str(), &file, AT_SYMLINK_NOFOLLOW) != 0) {
    return system_failure(errno_text(fmt::format("socket {}", path), errno));
  }
  made.name_ = temporary;
  made.device_ = file.st_dev;
  made.inode_ = file.st_ino;
  know_own_socket(made.device_, made.inode_);
  if ((as_root && ::fchownat(made.directory_.get(), temporary.c_str(), access.owner.uid.value(),
                             access.owner.gid.value(), AT_SYMLINK_NOFOLLOW) != 0) ||
      ::listen(made.socket_.get(), kBacklog) != 0) {
    return system_failure(errno_text(fmt::format("socket {}", path), errno));
  }
  return made;
}

StartResult<void> UnixListener::check_free() const {
  if (name_ == place_) return {};
  StartResult<void> free = check_replaceable(directory_.get(), place_, path_);
  if (free) free = check_unserved(path_);
  return free;
}

StartResult<void> UnixListener::publish() {
  if (name_ == place_) return {};
  const ActingAs acting(actor_);
  StartResult<void> checked = check_replaceable(directory_.get(), place_, path_);
  if (!checked) return checked;
  if (::renameat(directory_.get(), name_.c_str(), directory_.get(), place_.c_str()) != 0) {
    return system_failure(errno_text(fmt::format("socket {}: rename", path_), errno));
  }
  name_ = place_;
  return {};
}

bool UnixListener::in_place() const {
  // There may be another directory at its path.
  struct stat now{};
  struct stat then{};
  return ::stat(split(path_).directory.c_str(), &now) == 0 &&
         ::fstat(directory_.get(), &then) == 0 && now.st_dev == then.st_dev &&
         now.st_ino == then.st_ino && has_name();
}

bool UnixListener::has_name() const {
  // While socket_ is open its inode number is not given to another file.
  struct stat file{};
  return ::fstatat(directory_.get(), name_.c_str(), &file, AT_SYMLINK_NOFOLLOW) == 0 &&
         file.st_dev == device_ && file.st_ino == inode_;
}

UnixListener::~UnixListener() {
  if (name_.empty() || !socket_) return;
  forget_own_socket(device_, inode_);
  const ActingAs acting(actor_);
  if (!has_name()) return;
  if (::unlinkat(directory_.get(), name_.c_str(), 0) != 0) {
    log_warning("{}", errno_text(fmt::format("socket {}: unlink", path_), errno));
  }
}

}  // namespace lmtpd::master
