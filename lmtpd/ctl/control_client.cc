#include "lmtpd/ctl/control_client.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "lmtpd/base/control_protocol.h"
#include "lmtpd/base/log.h"

namespace lmtpd::ctl {

Result<ControlClient> ControlClient::connect(const std::string& path) {
  ControlClient client(UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), path);
  if (!client.socket_) return client.failed(errno_text("socket", errno));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return client.failed("the path is too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const timeval patience{static_cast<time_t>(kPatience.count()), 0};
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    ::setsockopt(client.socket_.get(), SOL_SOCKET, option, &patience, sizeof patience);
  }
  if (::connect(client.socket_.get(), reinterpret_cast<const sockaddr*>(&address),
                sizeof address) != 0) {
    return client.failed(errno_text("connect", errno));
  }
  return client;
}

tl::unexpected<Error> ControlClient::failed(std::string_view what) const {
  return fail(Reason::io, fmt::format("{}: {}", path_, what));
}

Result<Answer> ControlClient::ask(const std::string& request) {
  const std::string line = request + "\n";
  if (line.find('\n') + 1 != line.size() || line.size() > kLongestControlLine) {
    return failed("the request is no line of a lawful length");
  }
  if (::send(socket_.get(), line.data(), line.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(line.size())) {
    return failed(errno_text("send", errno));
  }
  Result<std::string> first = read_line();
  if (!first) return tl::unexpected(std::move(first.error()));
  Answer answer;
  const std::size_t space = first->find(' ');
  answer.status = first->substr(0, space);
  if (space != std::string::npos) answer.text = first->substr(space + 1);
  while (true) {
    Result<std::string> next = read_line();
    if (!next) return tl::unexpected(std::move(next.error()));
    if (*next == kControlEnd) return answer;
    answer.lines.push_back(*std::move(next));
  }
}

Result<void> ControlClient::signal_master(int number) const {
  // SO_PEERCRED of a client tells who called listen(2) (unix(7)).
  ucred master{};
  socklen_t length = sizeof master;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &master, &length) != 0) {
    return failed(errno_text("SO_PEERCRED", errno));
  }
  // 0: it is not in this namespace of process ids, and kill(2) would mean this process's group.
  if (master.pid <= 0) return failed("its process is not to be seen from here");
  if (::kill(master.pid, number) != 0) {
    return failed(errno_text(fmt::format("signal to process {}", master.pid), errno));
  }
  return {};
}

Result<std::string> ControlClient::read_line() {
  std::size_t end = 0;
  while ((end = received_.find('\n')) == std::string::npos) {
    if (received_.size() > kLongestControlLine) return failed("a line of the answer is too long");
    std::array<char, 4096> octets{};
    const ssize_t size = ::recv(socket_.get(), octets.data(), octets.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failed(errno_text("recv", errno));
    if (size == 0) return failed("the daemon closed the connection");
    received_.append(octets.data(), static_cast<std::size_t>(size));
  }
  std::string line = received_.substr(0, end);
  received_.erase(0, end + 1);
  return line;
}

}  // namespace lmtpd::ctl
