#include "lmtpd/master/owner_policy.h"

#include <fmt/format.h>

namespace lmtpd::master {

std::optional<std::string> OwnerPolicy::refusal(MailboxOwner owner) const {
  const std::uint32_t uid = owner.uid.value();
  const std::uint32_t gid = owner.gid.value();
  if (uid == 0 || uid == UINT32_MAX) return fmt::format("no worker runs as uid {}", uid);
  if (gid == 0 || gid == UINT32_MAX) return fmt::format("no worker runs as gid {}", gid);
  if (uid < minimum_uid_) {
    return fmt::format("uid {} is below virtual_minimum_uid = {}", uid, minimum_uid_);
  }
  if (const auto found = uids_.find(owner.uid); found != uids_.end()) {
    return fmt::format("uid {} is {}", uid, found->second);
  }
  if (const auto found = gids_.find(owner.gid); found != gids_.end()) {
    return fmt::format("gid {} is {}", gid, found->second);
  }
  return std::nullopt;
}

}  // namespace lmtpd::master
