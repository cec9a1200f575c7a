#include "lmtpd/base/owner_policy.h"

#include <fmt/format.h>

#include "lmtpd/base/accounts.h"

namespace lmtpd {

OwnerPolicy OwnerPolicy::of(const Settings& settings) {
  OwnerPolicy policy(settings.virtual_minimum_uid);
  const std::pair<const std::string&, const char*> users[] = {
      {settings.frontend_user, "that of frontend_user"},
      {settings.lookup_user, "that of lookup_user"},
      {settings.sync_user, "that of sync_user"},
      {settings.listen_owner.user, "that of listen_owner"},
      {settings.mail_owner, "that of Postfix's mail_owner"},
  };
  for (const auto& [name, whose] : users) {
    if (const std::optional<MailboxOwner> user = find_user(name)) {
      policy.refuse(user->uid, whose);
      policy.refuse(user->gid, whose);
    }
  }
  const std::pair<const std::string&, const char*> groups[] = {
      {settings.listen_owner.group, "that of listen_owner"},
      {settings.setgid_group, "that of Postfix's setgid_group"},
  };
  for (const auto& [name, whose] : groups) {
    if (const std::optional<Gid> group = find_group(name)) policy.refuse(*group, whose);
  }
  return policy;
}

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

}  // namespace lmtpd
