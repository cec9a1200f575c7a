// maildir/open_beneath.h -- a directory beneath another one, whatever the path tries.
#pragma once

#include <string>

#include "lmtpd/base/unique_fd.h"

namespace lmtpd::maildir {

// Opens the directory `path` from `directory` with openat2(2): RESOLVE_BENEATH |
// RESOLVE_NO_MAGICLINKS, close-on-exec. `flags` are O_PATH or O_RDONLY, and O_NOFOLLOW where the
// last component may be no symbolic link. Fails with an empty descriptor and errno.
[[nodiscard]] UniqueFd open_beneath(int directory, const std::string& path, int flags);

}  // namespace lmtpd::maildir
