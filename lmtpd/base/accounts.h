// lmtpd/base/accounts.h -- users and groups of this machine by name (getpwnam(3), getgrnam(3)).
#pragma once

#include <optional>
#include <string>

#include "lmtpd/base/types.h"

namespace lmtpd {

// The user and its own group; nullopt if there is no such user.
[[nodiscard]] std::optional<MailboxOwner> find_user(const std::string& name);
[[nodiscard]] std::optional<Gid> find_group(const std::string& name);

// UID_MIN of /etc/login.defs: where people's uids begin; 1000 if it does not say.
[[nodiscard]] std::uint32_t first_human_uid();

}  // namespace lmtpd
