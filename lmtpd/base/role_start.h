// lmtpd/base/role_start.h -- how a role begins: what master tells it on its control channel.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lmtpd/base/channel.h"
#include "lmtpd/base/result.h"
#include "lmtpd/base/ticket.h"
#include "lmtpd/base/types.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd {

// The descriptor of the control channel in every role that master executes.
inline constexpr int kControlFd = 3;

struct RoleStart {
  struct Listening {
    std::uint32_t index;  // as in messages.h, Listener
    UniqueFd socket;
  };
  std::string parameters;
  std::uint32_t instance = 0;
  MailboxOwner owner;
  bool check_only = false;
  Key key{};
  std::map<std::string, UniqueFd> files;  // path as configured -> open for reading
  std::vector<Listening> listeners;
};

// Reads Configure, File..., Listener..., Start (messages.h), waiting for each. Messages that stand
// in Start's own packet behind it are an error: master sends nothing more until Ready.
[[nodiscard]] Result<RoleStart> receive_role_start(Channel& control);

}  // namespace lmtpd
