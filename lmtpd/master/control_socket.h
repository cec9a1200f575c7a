// lmtpd/master/control_socket.h -- the socket that lmtpctl speaks to: root's, mode 0600.
//
// Lookup serves it. Each generation has its own, put over the one before, so that lmtpctl never
// reaches a lookup that is about to end. Another lmtpd's is left alone.
#pragma once

#include <string>

#include "lmtpd/master/start_failure.h"
#include "lmtpd/master/unix_listener.h"

namespace lmtpd::master {

// Makes the directory first if it is missing and lies in /run, which is empty after a boot. Fails
// if another process takes connections there: another lmtpd of this configuration runs.
[[nodiscard]] StartResult<UnixListener> prepare_control_socket(const std::string& path);

}  // namespace lmtpd::master
