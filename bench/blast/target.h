// bench/blast/target.h -- where the LMTP server listens: `unix:PATH` or `inet:HOST:PORT`.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "bench/blast/expected.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::blast {

class Target {
 public:
  // `inet:[::1]:24` for IPv6. HOST is resolved here, once.
  [[nodiscard]] static Expected<Target> parse(std::string_view text);

  // A non-blocking socket, close-on-exec, that is connected or connecting (TCP); an empty one when
  // the backlog of a unix socket is full: try again. Nagle is off.
  [[nodiscard]] Expected<UniqueFd> connect() const;
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
  sockaddr_storage address_{};
  socklen_t length_ = 0;
};

// The error of a connection under way that ended (SO_ERROR), or success.
[[nodiscard]] Expected<void> connect_outcome(int fd);

}  // namespace lmtpd::blast
