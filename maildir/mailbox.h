// maildir/mailbox.h -- the directories of one maildir, opened for one delivery.
//
// Every path is resolved beneath the base (openat2, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS),
// whoever owns the directories on the way. Not to be kept: mail must not follow a mailbox that is
// renamed away.
#pragma once

#include <optional>

#include "lmtpd/base/result.h"
#include "lmtpd/base/types.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::maildir {

struct OpenMailbox {
  UniqueFd tmp;      // O_PATH
  UniqueFd new_dir;  // open for reading, so that it can be synced
};

// Opens `path`'s tmp/ and new/ from the base directory `base`. Where the mailbox, or part of it, is
// missing and the nearest directory that is there belongs to this process's uid, makes the rest,
// mode 0700; nothing of that is synced yet (chain.h). nullopt: the mailbox is missing, and its
// parent is not ours to make it in. Fails with no_access (a symbolic link that leaves the base is
// one), no_space, over_quota, io.
[[nodiscard]] Result<std::optional<OpenMailbox>> open_mailbox(int base, const MailboxPath& path);

}  // namespace lmtpd::maildir
