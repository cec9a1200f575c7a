// lmtpd/master/socket_server.h -- which process takes connections at a unix socket's name.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace lmtpd::master {

// In words, with its pid and name where they can be had; none: nobody, or this process itself, be
// it by another name of the same socket. One whose backlog is full is taken for another's, since
// nothing tells whose it is. Connects to it and hangs up. `path` is at most as long as sun_path.
// What a process that has ended left behind is nobody's.
[[nodiscard]] std::optional<std::string> other_server_of(const std::string& path);

// The file that this process bound is its own from here on, whatever is done by the roles that hold
// the socket, too: who calls listen(2) again is the one of whom a client is told, and who accepts
// nobody lets the backlog fill up. To be forgotten before the socket is closed, since then another
// file may get the inode.
void know_own_socket(dev_t device, ino_t inode);
void forget_own_socket(dev_t device, ino_t inode);

}  // namespace lmtpd::master
