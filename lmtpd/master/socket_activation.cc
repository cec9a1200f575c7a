#include "lmtpd/master/socket_activation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>

namespace lmtpd::master {
namespace {

constexpr int kFirstFd = 3;  // SD_LISTEN_FDS_START

std::optional<std::string> take_variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  std::string copy = value;
  ::unsetenv(name);
  return copy;
}

std::optional<int> number(std::string_view text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

int socket_option(int fd, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

std::string next_name(std::string_view& names) {
  const std::size_t colon = names.find(':');
  std::string name(names.substr(0, colon));
  names.remove_prefix(colon == std::string_view::npos ? names.size() : colon + 1);
  return name.empty() ? "unknown" : name;
}

}  // namespace

Result<std::vector<ActivatedSocket>> take_activated_sockets() {
  const std::optional<std::string> pid = take_variable("LISTEN_PID");
  const std::optional<std::string> count = take_variable("LISTEN_FDS");
  const std::string all_names = take_variable("LISTEN_FDNAMES").value_or("");
  std::vector<ActivatedSocket> sockets;
  if (!pid || !count) return sockets;

  const std::optional<int> meant = number(*pid);
  if (!meant) return fail(Reason::io, fmt::format("LISTEN_PID={}: not a process id", *pid));
  if (*meant != ::getpid()) return sockets;
  const std::optional<int> descriptors = number(*count);
  if (!descriptors || *descriptors > 1024) {
    return fail(Reason::io, fmt::format("LISTEN_FDS={}: not a number of descriptors", *count));
  }

  std::string_view names = all_names;
  for (int fd = kFirstFd; fd < kFirstFd + *descriptors; ++fd) {
    const std::string name = next_name(names);
    if (socket_option(fd, SO_TYPE) != SOCK_STREAM || socket_option(fd, SO_ACCEPTCONN) != 1) {
      return fail(Reason::io,
                  fmt::format("activated socket {} ({}): not a listening stream socket", fd, name));
    }
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || ::fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
      return fail(Reason::io, fmt::format("activated socket {} ({}): fcntl failed", fd, name));
    }
    sockets.push_back({UniqueFd(fd), name});
  }
  return sockets;
}

}  // namespace lmtpd::master
