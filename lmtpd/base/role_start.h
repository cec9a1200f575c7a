// lmtpd/base/role_start.h -- how a role begins: what master tells it on its control channel.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "lmtpd/base/channel.h"
#include "lmtpd/base/log.h"
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
  // Where the role logs: a check's findings are for whoever asked for it.
  [[nodiscard]] LogTarget log_target(LogTarget configured) const {
    return check_only ? LogTarget::standard_error : configured;
  }

  std::string parameters;
  std::uint32_t instance = 0;
  MailboxOwner owner;
  bool check_only = false;
  Key key{};
  std::map<std::string, UniqueFd> files;  // path as configured -> open for reading
  std::vector<Listening> listeners;
  struct SharedSync {
    std::uint64_t device;
    UniqueFd page;
    UniqueFd bell;
  };
  struct FileSystemToSync {
    std::string path;
    UniqueFd page;
    UniqueFd bell;
    UniqueFd root;
  };
  UniqueFd counters;                                   // CounterPage; none: the role got none
  std::vector<SharedSync> shared_syncs;                // a worker's
  std::vector<FileSystemToSync> file_systems_to_sync;  // the committer's
};

// How every role begins, as root: it logs to standard error as `role` until it knows better, leaves
// signals to master, makes files for its user alone, and reads the time zone, whose file is out of
// reach later. Returns the control channel.
//
// The signals are those that the whole unit or process group gets, of which master alone makes
// something (Stop); SIGPIPE, as a broken channel is seen where it is written; SIGXFSZ, as a limit
// of file sizes is EFBIG.
[[nodiscard]] Channel begin_role(const char* role);

// Reads Configure, File..., Listener..., CounterPage, SharedSyncOf..., FileSystemToSync..., Start
// (messages.h), waiting for each. Messages that stand in Start's own packet behind it are an error:
// master sends nothing more until Ready.
[[nodiscard]] Result<RoleStart> receive_role_start(Channel& control);

// A role that cannot begin as it should does not serve: what there is to say is logged, and the
// process exits with `status`. Master starts it again with back-off, or, for EX_CONFIG, says that
// the configuration was refused.
template <class T>
T must(Result<T> result, int status = EXIT_FAILURE) {
  if (!result) {
    log_error("{}", result.error().text);
    std::exit(status);
  }
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace lmtpd
