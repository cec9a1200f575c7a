// lmtpd/master/socket_activation.h -- sockets that the service manager bound (sd_listen_fds(3)).
#pragma once

#include <string>
#include <vector>

#include "lmtpd/base/result.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::master {

struct ActivatedSocket {
  UniqueFd fd;       // close-on-exec, non-blocking
  std::string name;  // of LISTEN_FDNAMES, "unknown" without
};

// Takes over descriptors 3 and up as LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES say, and takes these
// out of the environment. Empty if they are not set or meant for another process; fails, naming the
// variable, on what is no number or more than is open, and on a descriptor that is no listening
// stream socket.
[[nodiscard]] Result<std::vector<ActivatedSocket>> take_activated_sockets();

}  // namespace lmtpd::master
