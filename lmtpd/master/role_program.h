// lmtpd/master/role_program.h -- the program of a role, opened once.
//
// A role that is restarted after a package upgrade is still of master's own build, since the
// messages between roles are only understood within one build.
#pragma once

#include <string>

#include "lmtpd/base/unique_fd.h"
#include "lmtpd/master/start_failure.h"

namespace lmtpd::master {

struct RoleProgram {
  std::string name;  // "lmtpd-frontend"
  std::string path;  // what is there may have become another build's
  UniqueFd fd;       // for fexecve(3); 10 or more, out of the way of what a child sets up
};

struct RolePrograms {
  // Looks beside the running program (the build tree), then in ../libexec/lmtpd/ (installed).
  [[nodiscard]] static StartResult<RolePrograms> open();

  RoleProgram frontend;
  RoleProgram lookup;
  RoleProgram worker;
  RoleProgram committer;
};

}  // namespace lmtpd::master
