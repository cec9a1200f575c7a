#include "lmtpd/master/control_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>

#include "lmtpd/base/log.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::master {

StartResult<UnixListener> prepare_control_socket(const std::string& path) {
  const std::string directory = path.substr(0, path.rfind('/'));
  if (directory.starts_with("/run/") && ::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return configuration_failure(
        errno_text(fmt::format("control_socket {}: making {}", path, directory), errno));
  }
  return UnixListener::prepare(path, {{Uid(0), Gid(0)}, 0600});
}

bool is_served(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::ranges::copy(path, address.sun_path);
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // EAGAIN: a full backlog, which somebody holds.
  return fd &&
         (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
          errno == EAGAIN);
}

}  // namespace lmtpd::master
