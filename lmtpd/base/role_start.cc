#include "lmtpd/base/role_start.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <span>

#include "lmtpd/base/log.h"
#include "lmtpd/base/messages.h"

namespace lmtpd {
namespace {

enum class Progress { more, started, malformed };

Progress take(RoleStart& start, Frame& frame) {
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::configure: {
      const std::optional<Configure> message = decode<Configure>(frame.payload);
      if (!message) return Progress::malformed;
      start.parameters = message->parameters;
      start.instance = message->instance;
      start.owner = message->owner;
      start.check_only = message->check_only;
      start.key = message->key;
      return Progress::more;
    }
    case MessageType::file: {
      const std::optional<File> message = decode<File>(frame.payload);
      if (!message || frame.descriptors.size() != 1) return Progress::malformed;
      start.files[std::string(message->path)] = std::move(frame.descriptors[0]);
      return Progress::more;
    }
    case MessageType::listener: {
      const std::optional<Listener> message = decode<Listener>(frame.payload);
      if (!message || frame.descriptors.size() != 1) return Progress::malformed;
      start.listeners.push_back({message->index, std::move(frame.descriptors[0])});
      return Progress::more;
    }
    case MessageType::counter_page:
      if (!decode<CounterPage>(frame.payload) || frame.descriptors.size() != 1) {
        return Progress::malformed;
      }
      start.counters = std::move(frame.descriptors[0]);
      return Progress::more;
    case MessageType::shared_sync: {
      const std::optional<SharedSyncOf> message = decode<SharedSyncOf>(frame.payload);
      const std::span<UniqueFd> fds = frame.descriptors;
      if (!message || fds.size() != 2) return Progress::malformed;
      start.shared_syncs.push_back({message->device, std::move(fds[0]), std::move(fds[1])});
      return Progress::more;
    }
    case MessageType::file_system_to_sync: {
      const std::optional<FileSystemToSync> message = decode<FileSystemToSync>(frame.payload);
      const std::span<UniqueFd> fds = frame.descriptors;
      if (!message || fds.size() != 3) return Progress::malformed;
      start.file_systems_to_sync.push_back(
          {std::string(message->path), std::move(fds[0]), std::move(fds[1]), std::move(fds[2])});
      return Progress::more;
    }
    case MessageType::start:
      return decode<Start>(frame.payload) ? Progress::started : Progress::malformed;
    default:
      return Progress::malformed;
  }
}

}  // namespace

Channel begin_role(const char* role) {
  for (const int number : {SIGPIPE, SIGXFSZ, SIGHUP, SIGINT, SIGTERM}) {
    std::signal(number, SIG_IGN);
  }
  ::umask(0077);
  ::tzset();
  open_log(role, LogTarget::standard_error);
  return Channel(UniqueFd(kControlFd));
}

Result<RoleStart> receive_role_start(Channel& control) {
  RoleStart start;
  Packet packet;
  while (true) {
    switch (control.receive(packet)) {
      case Channel::Status::closed:
      case Channel::Status::no_memory:  // which only flush() says
        return fail(Reason::io, "control channel closed before Start");
      case Channel::Status::would_block: {
        pollfd waited{control.fd(), POLLIN, 0};
        if (::poll(&waited, 1, -1) < 0 && errno != EINTR) {
          return fail(Reason::io, errno_text("poll", errno));
        }
        continue;
      }
      case Channel::Status::ok:
        break;
    }
    bool started = false;
    for (Frame& frame : packet.frames()) {
      const Progress progress = started ? Progress::malformed : take(start, frame);
      if (progress == Progress::malformed) {
        return fail(
            Reason::io,
            fmt::format("control channel: unexpected message of type {} before Start", frame.type));
      }
      started = progress == Progress::started;
    }
    if (started) return start;
  }
}

}  // namespace lmtpd
