#include "lmtpd/frontend/body.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "lmtpd/base/log.h"
#include "lmtpd/base/messages.h"

namespace lmtpd::frontend {
namespace {

// Beyond it a body that grows gets all the room that is booked for it, at once: doubling would come
// to twice that, and leave what it had before in pieces.
constexpr std::size_t kFewOctets = 8 * 1024;

}  // namespace

Result<void> Body::append(std::string_view octets) {
  if (!file_) {
    const std::size_t size = inline_.size() + octets.size();
    if (size <= kInlineBody) {
      if (!inline_.empty() && size > std::max(kFewOctets, inline_.capacity())) {
        inline_.reserve(kInlineBody);
      }
      inline_ += octets;
      size_ = inline_.size();
      return {};
    }
    file_.reset(::memfd_create("lmtpd-body", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file_) return fail(Reason::no_space, errno_text("memfd_create", errno));
    size_ = 0;
    if (Result<void> moved = write_file(inline_); !moved) return moved;
    inline_.clear();
    inline_.shrink_to_fit();
  }
  return write_file(octets);
}

Result<void> Body::write_file(std::string_view octets) {
  while (!octets.empty()) {
    const ssize_t written = ::write(file_.get(), octets.data(), octets.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return fail(Reason::no_space, errno_text("write to memfd", errno));
    }
    size_ += static_cast<std::uint64_t>(written);
    octets.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> Body::seal() {
  if (!file_) {
    // What was booked for more is given back, too.
    if (inline_.capacity() > inline_.size() + kFewOctets) inline_.shrink_to_fit();
    return {};
  }
  if (::fcntl(file_.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) !=
      0) {
    return fail(Reason::io, errno_text("seal memfd", errno));
  }
  return {};
}

UniqueFd Body::duplicate_file() const {
  return file_ ? UniqueFd(::fcntl(file_.get(), F_DUPFD_CLOEXEC, 0)) : UniqueFd();
}

}  // namespace lmtpd::frontend
