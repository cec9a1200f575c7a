// lmtpd/master/left_children.h -- children that nobody waits for any more.
//
// One that hangs in the kernel outlives its SIGKILL until that lets it go, and holds up nobody; but
// then it is a zombie until master has asked for its status. Each is asked for by its pid, so that
// the status of no other child is taken.
#pragma once

#include <sys/types.h>

namespace lmtpd::master {

// Kills it. It was not reaped yet.
void leave_child(pid_t pid);

// Reaps those that have ended by now: once a turn.
void reap_left_children();

}  // namespace lmtpd::master
