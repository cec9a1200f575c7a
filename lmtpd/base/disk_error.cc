#include "lmtpd/base/disk_error.h"

#include <cerrno>

#include "lmtpd/base/log.h"

namespace lmtpd {

Reason reason_of(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EXDEV:
      return Reason::no_access;
    case ENOSPC:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return Reason::no_space;
    case EDQUOT:
      return Reason::over_quota;
    default:
      return Reason::io;
  }
}

Error disk_error(std::string_view what, int error) {
  return Error{reason_of(error), errno_text(what, error)};
}

}  // namespace lmtpd
