#include "lmtpd/master/service_notifier.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "lmtpd/base/log.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::master {
namespace {

// CLOCK_MONOTONIC in microseconds, which RELOADING=1 has to carry.
std::uint64_t monotonic_usec() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
}

}  // namespace

ServiceNotifier ServiceNotifier::from_environment() {
  const char* socket = std::getenv("NOTIFY_SOCKET");
  ServiceNotifier notifier(socket == nullptr ? "" : socket);
  ::unsetenv("NOTIFY_SOCKET");
  return notifier;
}

void ServiceNotifier::ready(std::string_view status) const {
  send(fmt::format("READY=1\nSTATUS={}", status));
}

void ServiceNotifier::reloading() const {
  send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_usec()));
}

void ServiceNotifier::stopping() const { send("STOPPING=1"); }

void ServiceNotifier::send(const std::string& state) const {
  if (socket_.empty()) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if ((socket_[0] != '/' && socket_[0] != '@') || socket_.size() >= sizeof address.sun_path) {
    log_warning("NOTIFY_SOCKET={}: neither a path nor an abstract socket's name", escaped(socket_));
    return;
  }
  std::ranges::copy(socket_, address.sun_path);
  // An abstract name starts with NUL, and is as long as it is (unix(7)).
  if (socket_[0] == '@') address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size() +
                                             (socket_[0] == '@' ? 0 : 1));
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd || ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
                      reinterpret_cast<const sockaddr*>(&address), length) < 0) {
    log_warning("{}", errno_text("NOTIFY_SOCKET=" + escaped(socket_), errno));
  }
}

}  // namespace lmtpd::master
