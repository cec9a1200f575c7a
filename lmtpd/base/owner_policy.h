// lmtpd/base/owner_policy.h -- as whom no worker ever runs, whatever a table says.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/types.h"

namespace lmtpd {

class OwnerPolicy {
 public:
  // That of a site: refuses the ids of lmtpd's own users, of listen_owner, and of Postfix's
  // mail_owner and setgid_group, as far as they exist here: who had mail delivered as one of them
  // would reach its processes.
  [[nodiscard]] static OwnerPolicy of(const Settings& settings);

  // Refuses uid 0 and gid 0, -1, and every uid below `minimum_uid` (virtual_minimum_uid).
  explicit OwnerPolicy(std::uint32_t minimum_uid) : minimum_uid_(minimum_uid) {}

  // `whose` is for the reason: "the user of frontend_user".
  void refuse(Uid uid, std::string whose) { uids_.emplace(uid, std::move(whose)); }
  void refuse(Gid gid, std::string whose) { gids_.emplace(gid, std::move(whose)); }

  // Why not, or nullopt: `owner` may have a worker.
  [[nodiscard]] std::optional<std::string> refusal(MailboxOwner owner) const;

 private:
  std::uint32_t minimum_uid_;
  std::map<Uid, std::string> uids_;
  std::map<Gid, std::string> gids_;
};

}  // namespace lmtpd
