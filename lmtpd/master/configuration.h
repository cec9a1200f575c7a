// lmtpd/master/configuration.h -- all that one generation of roles is made from, read as root.
//
// Read at start and at each reload, whole: what cannot be right is refused before anything changes.
#pragma once

#include <string>
#include <vector>

#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/owner_policy.h"
#include "lmtpd/base/types.h"
#include "lmtpd/base/unique_fd.h"
#include "lmtpd/master/start_failure.h"
#include "lmtpd/master/unix_listener.h"

namespace lmtpd::master {

struct Configuration {
  struct OpenFile {
    std::string path;  // as the configuration names it
    UniqueFd fd;
  };

  // Fails with EX_CONFIG on what is wrong in `file`, on a user, group or directory that does not
  // exist (the text says how to make it), and on a file that cannot be read.
  [[nodiscard]] static StartResult<Configuration> load(const std::string& file);

  // The parameter whose change from `running` a reload cannot carry out, or nullptr.
  [[nodiscard]] const char* needs_restart(const Configuration& running) const;

  std::string parameters;   // Parameters::serialise()
  bool check_only = false;  // as Configure's
  std::vector<std::string> warnings;
  Settings settings;
  MailboxOwner frontend_user;
  MailboxOwner lookup_user;
  MailboxOwner sync_user;      // nobody, where commit_file_systems names none
  SocketAccess socket_access;  // of the unix sockets of `listen`
  OwnerPolicy owner_policy{0};
  UniqueFd mail_base;                    // O_PATH
  std::vector<OpenFile> files;           // what lookup needs
  std::vector<OpenFile> frontend_files;  // what frontends need
};

}  // namespace lmtpd::master
