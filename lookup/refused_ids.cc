#include "lookup/refused_ids.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

namespace lmtpd::lookup {

Result<MailboxOwner> find_account(const std::string& user) {
  const passwd* entry = ::getpwnam(user.c_str());
  if (entry == nullptr) return fail(Reason::io, fmt::format("user {} does not exist", user));
  return MailboxOwner{Uid(entry->pw_uid), Gid(entry->pw_gid)};
}

void refuse_system_ids(const Settings& settings, ResolverSettings& resolver) {
  for (const std::string& user : {settings.lookup_user, settings.frontend_user,
                                  settings.listen_owner.user, settings.mail_owner}) {
    if (const Result<MailboxOwner> owner = find_account(user)) {
      resolver.refused_uids.push_back(owner->uid.value());
      resolver.refused_gids.push_back(owner->gid.value());
    }
  }
  for (const std::string& name : {settings.listen_owner.group, settings.setgid_group}) {
    if (const group* entry = ::getgrnam(name.c_str())) {
      resolver.refused_gids.push_back(entry->gr_gid);
    }
  }
}

}  // namespace lmtpd::lookup
