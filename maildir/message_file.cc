#include "maildir/message_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "lmtpd/base/disk_error.h"
#include "lmtpd/base/log.h"

namespace lmtpd::maildir {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr int kNameAttempts = 4;
constexpr std::size_t kCopyBuffer = 256 * 1024;   // octets
constexpr std::size_t kLargestBlock = 64 * 1024;  // octets; of a page or a file system

}  // namespace

MessageFile::~MessageFile() {
  if (!name_.empty()) {
    // What fails here is swept with all that is left in tmp/ for 36 hours.
    [[maybe_unused]] const int removed = calls_.unlinkat(mailbox_.tmp.get(), name_.c_str(), 0);
  }
}

MessageSize MessageFile::size() const {
  return {delivery_.headers.size() + delivery_.body_size, delivery_.wire_size};
}

tl::unexpected<Error> MessageFile::failed(std::string_view operation, int error) const {
  return tl::unexpected(
      disk_error(fmt::format("{} {}", operation, escaped(delivery_.path->value())), error));
}

Result<void> MessageFile::create(const UniqueNames& names) {
  std::string name = names.next(size());
  for (int attempt = 1;; ++attempt) {
    file_ = UniqueFd(::openat(mailbox_.tmp.get(), name.c_str(),
                              O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode));
    if (file_) break;
    if (errno != EEXIST || attempt == kNameAttempts) {
      return failed("create a file in tmp/ of", errno);
    }
    name = names.next_random(size());
  }
  name_ = std::move(name);
  return {};
}

Result<void> MessageFile::write_fully(std::string_view first, std::string_view second) {
  while (!first.empty() || !second.empty()) {
    const std::array<iovec, 2> parts{iovec{const_cast<char*>(first.data()), first.size()},
                                     iovec{const_cast<char*>(second.data()), second.size()}};
    const ssize_t written = calls_.writev(file_.get(), parts.data(), parts.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failed("write to tmp/ of", written < 0 ? errno : EIO);
    const std::size_t of_first = std::min(static_cast<std::size_t>(written), first.size());
    first.remove_prefix(of_first);
    second.remove_prefix(static_cast<std::size_t>(written) - of_first);
  }
  return {};
}

Result<void> MessageFile::write_body_of_descriptor() {
  std::vector<char> buffer(std::min<std::uint64_t>(kCopyBuffer, delivery_.body_size));
  std::string_view headers = delivery_.headers;
  for (std::uint64_t offset = 0; offset < delivery_.body_size;) {
    // Each part ends with a block: what the next one adds to a page that was dropped meanwhile
    // would hide the hole (check_blocks).
    const std::uint64_t wanted =
        std::min<std::uint64_t>({kCopyBuffer - headers.size() % kLargestBlock, buffer.size(),
                                 delivery_.body_size - offset});
    const ssize_t got =
        ::pread(delivery_.body_fd, buffer.data(), wanted, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return failed("read the body of a message for", got < 0 ? errno : EIO);
    const Result<void> written =
        write_fully(headers, std::string_view(buffer.data(), static_cast<std::size_t>(got)));
    if (!written) return written;
    headers = {};
    offset += static_cast<std::uint64_t>(got);
  }
  return write_fully(headers, {});
}

Result<void> MessageFile::write(const UniqueNames& names) {
  Result<void> created = create(names);
  if (!created) return created;
  if (delivery_.body_fd >= 0) return write_body_of_descriptor();
  return write_fully(delivery_.headers, delivery_.body);
}

Result<void> MessageFile::start_write_out() {
  // ext4 may tell a failure to allocate blocks to this call only, and have dropped the pages: the
  // fsync that follows returns 0 then.
  if (calls_.sync_file_range(file_.get(), 0, 0, SYNC_FILE_RANGE_WRITE) != 0) {
    return failed("start the write-out of a file in tmp/ of", errno);
  }
  return {};
}

Result<void> MessageFile::sync() {
  if (calls_.fsync(file_.get()) != 0) return failed("fsync a file in tmp/ of", errno);
  return check_blocks();
}

Result<void> MessageFile::check_blocks() const {
  // Where ext4 cannot allocate blocks for pages that another's syncfs(2) or the flusher by itself
  // has begun to write out, it drops them and, under errors=continue, goes on: the fsync(2) that
  // comes after that returns 0. What is lost is a hole then. An overlayfs may lie on an ext4.
  // Elsewhere a hole may be zeroes that were compressed, and asking for it may take seconds (ZFS).
  struct statfs on{};
  if (::fstatfs(file_.get(), &on) == 0 && on.f_type != EXT4_SUPER_MAGIC &&
      on.f_type != OVERLAYFS_SUPER_MAGIC) {
    return {};
  }
  const std::uint64_t octets = size().on_disk;
  const off_t hole = ::lseek(file_.get(), 0, SEEK_HOLE);
  if (octets == 0 || std::cmp_greater_equal(hole, octets)) return {};
  return failed("find, after its fsync, the blocks of a file in tmp/ of",
                hole < 0 && errno != ENXIO ? errno : EIO);
}

Result<void> MessageFile::publish(const UniqueNames& names) {
  // Network file systems report some failed writes only here.
  if (::close(file_.release()) != 0 && errno != EINTR)
    return failed("close a file in tmp/ of", errno);
  std::string name = name_;
  for (int attempt = 1; calls_.linkat(mailbox_.tmp.get(), name_.c_str(), mailbox_.new_dir.get(),
                                      name.c_str(), 0) != 0;
       ++attempt) {
    if (errno != EEXIST || attempt == kNameAttempts) return failed("link into new/ of", errno);
    name = names.next_random(size());
  }
  return {};
}

Result<void> MessageFile::prove() {
  const std::string name = std::move(name_);
  name_.clear();
  if (calls_.unlinkat(mailbox_.tmp.get(), name.c_str(), 0) != 0) {
    const int error = errno;
    return fail(Reason::io,
                errno_text(fmt::format("unlink, after the last sync, a file in tmp/ of {}",
                                       escaped(delivery_.path->value())),
                           error));
  }
  return {};
}

}  // namespace lmtpd::maildir
