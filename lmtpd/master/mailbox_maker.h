// lmtpd/master/mailbox_maker.h -- make a missing mailbox, as root, where no user could interfere.
//
// Only below directories of root's that nobody else can write, so that two uids may share a domain
// directory and no user owns his neighbours' parent. No symbolic link is followed.
#pragma once

#include "lmtpd/base/result.h"
#include "lmtpd/base/types.h"

namespace lmtpd {

// Makes what is missing of `path` beneath the directory `base` (O_PATH serves), and returns once it
// is on disk: every component but the last root:root 0711; the last, the mailbox, 0700 and
// `owner`'s, made under a temporary name and renamed into place. That name follows from the
// mailbox's, so that what a helper that died has left is taken up by the next. A mailbox that is
// there already, as a directory of that uid, is success. Runs as root, in a process of its own:
// blocking, and sets the umask while it runs. Fails with no_access (the text names the parent, its
// owner and the uid), no_space, over_quota, io.
[[nodiscard]] Result<void> make_mailbox(int base, const MailboxPath& path, MailboxOwner owner);

}  // namespace lmtpd
