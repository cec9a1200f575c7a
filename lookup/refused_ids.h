// lookup/refused_ids.h -- whose uid and gid no mailbox may have.
#pragma once

#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/result.h"
#include "lmtpd/base/types.h"
#include "lookup/resolver_settings.h"

namespace lmtpd::lookup {

// The user and its own group (getpwnam(3)). Fails with a text that names the user.
[[nodiscard]] Result<MailboxOwner> find_account(const std::string& user);

// Adds the ids of lmtpd's own users, of listen_owner and of Postfix's mail_owner and setgid_group,
// as far as they exist here: who had mail delivered as one of them would reach its processes.
void refuse_system_ids(const Settings& settings, ResolverSettings& resolver);

}  // namespace lmtpd::lookup
