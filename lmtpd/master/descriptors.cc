#include "lmtpd/master/descriptors.h"

#include <fcntl.h>
#include <fmt/format.h>

namespace lmtpd::master {

UniqueFd duplicate(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

UniqueFd reopen(int fd) {
  return UniqueFd(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDONLY | O_CLOEXEC));
}

}  // namespace lmtpd::master
