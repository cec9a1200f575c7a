#include "lmtpd/base/accounts.h"

#include <grp.h>
#include <pwd.h>

#include <fstream>
#include <sstream>

namespace lmtpd {

std::optional<MailboxOwner> find_user(const std::string& name) {
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr) return std::nullopt;
  return MailboxOwner{Uid(entry->pw_uid), Gid(entry->pw_gid)};
}

std::optional<Gid> find_group(const std::string& name) {
  const group* entry = ::getgrnam(name.c_str());
  if (entry == nullptr) return std::nullopt;
  return Gid(entry->gr_gid);
}

std::uint32_t first_human_uid() {
  std::ifstream file("/etc/login.defs");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::uint32_t value = 0;
    if (words >> name >> value && name == "UID_MIN") return value;
  }
  return 1000;
}

}  // namespace lmtpd
