#include "lmtpd/delivery/sealed_body.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "lmtpd/base/log.h"

namespace lmtpd::delivery {

Result<void> check_sealed_body(int fd, std::uint64_t size) {
  constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0) return fail(Reason::io, errno_text("body is no memfd", errno));
  if ((seals & kSeals) != kSeals) {
    return fail(Reason::io,
                fmt::format("body is a memfd with seals {:#x} of {:#x}", seals, kSeals));
  }
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail(Reason::io, errno_text("stat of a body", errno));
  if (status.st_size < 0 || static_cast<std::uint64_t>(status.st_size) != size) {
    return fail(Reason::io,
                fmt::format("body of {} octets is a memfd of {}", size, status.st_size));
  }
  return {};
}

}  // namespace lmtpd::delivery
