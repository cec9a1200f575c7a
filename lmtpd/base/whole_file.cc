#include "lmtpd/base/whole_file.h"

#include <unistd.h>

#include <array>
#include <cerrno>

#include "lmtpd/base/log.h"

namespace lmtpd {
namespace {

constexpr std::size_t kLargest = 256 * 1024 * 1024;  // octets

}  // namespace

Result<std::string> read_whole_file(const std::string& path, int fd) {
  std::string text;
  std::array<char, 65536> octets{};
  while (true) {
    const ssize_t size = ::pread(fd, octets.data(), octets.size(), static_cast<off_t>(text.size()));
    if (size == 0) return text;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail(Reason::lookup_failed, errno_text(path, errno));
    text.append(octets.data(), static_cast<std::size_t>(size));
    if (text.size() > kLargest) return fail(Reason::lookup_failed, path + ": it is too large");
  }
}

}  // namespace lmtpd
