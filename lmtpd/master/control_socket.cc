#include "lmtpd/master/control_socket.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "lmtpd/base/log.h"
#include "lmtpd/master/socket_server.h"

namespace lmtpd::master {

StartResult<UnixListener> prepare_control_socket(const std::string& path) {
  const std::string directory = path.substr(0, path.rfind('/'));
  if (directory.starts_with("/run/") && ::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return configuration_failure(
        errno_text(fmt::format("control_socket {}: making {}", path, directory), errno));
  }
  if (const std::optional<std::string> server = other_server_of(path)) {
    return system_failure(
        fmt::format("another lmtpd serves control_socket {} ({})", path, *server));
  }
  return UnixListener::prepare(path, {{Uid(0), Gid(0)}, 0600});
}

}  // namespace lmtpd::master
