// lmtpd/master/file_identity.h -- act on files as another user for the length of a scope.
#pragma once

#include "lmtpd/base/types.h"

namespace lmtpd::master {

// setfsuid(2) and setfsgid(2): the kernel checks files, and owns new ones, as that user, without
// root's capabilities over files; the process stays root in all else, and nobody gains the right to
// signal it. For single-threaded processes. Aborts where the kernel refuses.
class ActingAs {
 public:
  explicit ActingAs(MailboxOwner user);
  ~ActingAs();
  ActingAs(const ActingAs&) = delete;
  ActingAs& operator=(const ActingAs&) = delete;
};

}  // namespace lmtpd::master
