// lmtpd/master/unix_listener.h -- one listening unix socket with an owner, a mode and a name.
//
// No client ever sees a half-made socket: it is bound beside its place under a temporary name, with
// its owner, mode and backlog, and publish() renames it over what was there. Only a socket is
// replaced, and none at which another process takes connections, by either name: that is looked at
// before each of the two steps, so who binds between a look and its step, within microseconds,
// loses his name. A directory that is not root's alone (Postfix's private/ belongs to postfix) is
// worked in as the socket's owner, so that what its owner does there cannot lead root astray, but
// for that look: root connects to the name, which was no symlink a moment before, and hangs up.
#pragma once

#include <sys/types.h>

#include <string>

#include "lmtpd/base/types.h"
#include "lmtpd/base/unique_fd.h"
#include "lmtpd/master/start_failure.h"

namespace lmtpd::master {

struct SocketAccess {
  MailboxOwner owner;
  mode_t mode;
};

// The same for every way to the place, through symlinks of its directory for example; `path` itself
// if there is no such directory.
[[nodiscard]] std::string real_place(const std::string& path);

// Fails if `path`, as parse_socket_path() leaves it, cannot become a socket: no directory, or
// something else than a socket is there. Changes nothing.
[[nodiscard]] StartResult<void> check_unix_place(const std::string& path);

class UnixListener {
 public:
  // `path` is as above. Listening, non-blocking, not yet at its place.
  // Fails as publish() would.
  [[nodiscard]] static StartResult<UnixListener> prepare(const std::string& path,
                                                         const SocketAccess& access);
  UnixListener(UnixListener&& other) noexcept = default;
  UnixListener& operator=(UnixListener&&) = delete;
  // Removes the name if it still leads to this socket.
  ~UnixListener();

  // Fails, for a while as far as this can tell, if another process serves the place by now. Asked
  // of all sockets before the first publish(), which nothing takes back.
  [[nodiscard]] StartResult<void> check_free() const;
  [[nodiscard]] StartResult<void> publish();

  // Whether its path still leads to it.
  [[nodiscard]] bool in_place() const;

  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  UnixListener() = default;
  [[nodiscard]] bool has_name() const;

  std::string path_;
  std::string place_;  // the last component of path_
  std::string name_;   // what the socket is called in directory_ now
  UniqueFd directory_;
  MailboxOwner actor_;
  UniqueFd socket_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace lmtpd::master
