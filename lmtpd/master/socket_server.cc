#include "lmtpd/master/socket_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "lmtpd/base/log.h"
#include "lmtpd/base/unique_fd.h"
#include "lmtpd/base/whole_file.h"

namespace lmtpd::master {
namespace {

constexpr const char* kUnnamed = "another process";

std::set<std::pair<dev_t, ino_t>> g_own;

bool is_own(const std::string& path) {
  struct stat file{};
  return ::stat(path.c_str(), &file) == 0 && g_own.contains({file.st_dev, file.st_ino});
}

// The program's name as ps(1) has it, in parentheses and with a blank before.
std::string name_of(pid_t pid) {
  const std::string path = fmt::format("/proc/{}/comm", pid);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return "";
  const Result<std::string> name = read_whole_file(path, fd.get());
  if (!name) return "";
  return fmt::format(" ({})", escaped(name->substr(0, name->find('\n'))));
}

}  // namespace

std::optional<std::string> other_server_of(const std::string& path) {
  if (is_own(path)) return std::nullopt;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return std::nullopt;
  std::ranges::copy(path, address.sun_path);
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return std::nullopt;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    // A full backlog, and a socket of another type: somebody holds it. After its holder's end it is
    // ECONNREFUSED.
    if (errno == EAGAIN || errno == EPROTOTYPE) return kUnnamed;
    return std::nullopt;
  }
  // Of the process that called listen(2).
  ucred listener{};
  socklen_t length = sizeof listener;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &listener, &length) != 0 ||
      listener.pid <= 0) {
    return kUnnamed;
  }
  if (listener.pid == ::getpid()) return std::nullopt;
  return fmt::format("pid {}{}", listener.pid, name_of(listener.pid));
}

void know_own_socket(dev_t device, ino_t inode) { g_own.emplace(device, inode); }

void forget_own_socket(dev_t device, ino_t inode) { g_own.erase({device, inode}); }

}  // namespace lmtpd::master
