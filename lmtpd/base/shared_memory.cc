#include "lmtpd/base/shared_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "lmtpd/base/log.h"

namespace lmtpd {
namespace {

constexpr int kSizeIsSealed = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;

}  // namespace

Result<UniqueFd> make_shared_octets(const char* name, std::size_t size) {
  UniqueFd memory(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory || ::fchmod(memory.get(), 0600) != 0 ||
      ::ftruncate(memory.get(), static_cast<off_t>(size)) != 0 ||
      ::fcntl(memory.get(), F_ADD_SEALS, kSizeIsSealed) != 0) {
    return fail(Reason::io, errno_text(name, errno));
  }
  return memory;
}

Result<void*> map_shared_octets(const UniqueFd& memory, const char* name, std::size_t size,
                                bool to_write) {
  const int seals = ::fcntl(memory.get(), F_GET_SEALS);
  struct stat status{};
  if (seals < 0 || ::fstat(memory.get(), &status) != 0) {
    return fail(Reason::io, errno_text(name, errno));
  }
  if ((seals & kSizeIsSealed) != kSizeIsSealed) {
    return fail(Reason::io, fmt::format("{} has seals {:#x} of {:#x}", name, seals, kSizeIsSealed));
  }
  if (status.st_size != static_cast<off_t>(size)) {
    return fail(Reason::io, fmt::format("{} has {} octets, not {}", name, status.st_size, size));
  }
  const int protection = to_write ? PROT_READ | PROT_WRITE : PROT_READ;
  void* const octets = ::mmap(nullptr, size, protection, MAP_SHARED, memory.get(), 0);
  if (octets == MAP_FAILED) return fail(Reason::io, errno_text(name, errno));
  return octets;
}

void unmap_shared_octets(const void* octets, std::size_t size) {
  ::munmap(const_cast<void*>(octets), size);
}

}  // namespace lmtpd
