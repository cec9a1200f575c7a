#include "lmtpd/master/file_identity.h"

#include <sys/fsuid.h>

#include <cstdlib>

#include "lmtpd/base/log.h"

namespace lmtpd::master {
namespace {

// The calls answer the value before, whether they succeed or not; an impossible value only asks.
void change(std::uint32_t uid, std::uint32_t gid) {
  ::setfsgid(gid);
  ::setfsuid(uid);
  if (static_cast<std::uint32_t>(::setfsuid(UINT32_MAX)) != uid ||
      static_cast<std::uint32_t>(::setfsgid(UINT32_MAX)) != gid) {
    log_error("setfsuid {}, setfsgid {}: refused", uid, gid);
    std::abort();
  }
}

}  // namespace

ActingAs::ActingAs(MailboxOwner user) { change(user.uid.value(), user.gid.value()); }

ActingAs::~ActingAs() { change(0, 0); }

}  // namespace lmtpd::master
