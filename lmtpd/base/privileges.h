// lmtpd/base/privileges.h -- how a role gives up what it does not need, and proves that it did.
//
// Called from a role's main, in this order, while the process has one thread: become(),
// forbid_new_privileges(), confine_to() or confine_to_no_files(). None can be undone. A failure is
// fatal for the role: it must not serve.
#pragma once

#include "lmtpd/base/result.h"
#include "lmtpd/base/types.h"

namespace lmtpd {

// From root to `owner` for ever: no supplementary group, no capability, and neither tracing nor
// /proc/PID access by other processes of the same uid (PR_SET_DUMPABLE).
// Then proves it: setuid(0) and setgid(0) fail, and /proc/self/status shows the uid and gid four
// times, no group and no capability. Refuses uid 0 and gid 0. Needs /proc.
[[nodiscard]] Result<void> become(MailboxOwner owner);

// No execve(2) gives this process or its children anything back (PR_SET_NO_NEW_PRIVS).
[[nodiscard]] Result<void> forbid_new_privileges();

enum class Confinement {
  confined,
  not_available,  // the kernel has no Landlock, or one that cannot link between directories (ABI <
                  // 2)
};

// A Landlock domain. From now on files are made, written, linked, removed and directories made and
// listed beneath `directory` (an open descriptor; O_PATH serves) and nothing else is opened, read
// or executed anywhere; what is open stays usable. Where the kernel knows it (ABI 4, 6), neither
// does the process bind or connect TCP sockets, nor reach abstract unix sockets or signal processes
// outside.
[[nodiscard]] Result<Confinement> confine_to(int directory);

// The same without any file.
[[nodiscard]] Result<Confinement> confine_to_no_files();

}  // namespace lmtpd
