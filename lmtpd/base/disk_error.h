// lmtpd/base/disk_error.h -- what an errno of the disk means for the recipient.
#pragma once

#include <string_view>

#include "lmtpd/base/result.h"

namespace lmtpd {

// no_access: EACCES, EPERM, EROFS, ENOTDIR, ENAMETOOLONG, ELOOP, EXDEV, which the administrator
// mends. no_space: ENOSPC, EMFILE, ENFILE, ENOMEM. over_quota: EDQUOT. io: EIO, EFBIG and all
// others.
[[nodiscard]] Reason reason_of(int error);

// "what: strerror(error)" with that reason. `what` names the operation and the file, escaped.
[[nodiscard]] Error disk_error(std::string_view what, int error);

}  // namespace lmtpd
