#include "lmtpd/base/counters.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "lmtpd/base/log.h"

namespace lmtpd {
namespace {

using Shared = std::atomic_ref<std::uint64_t>;
static_assert(Shared::is_always_lock_free);  // a lock would be in this process, not in the page

}  // namespace

Result<UniqueFd> make_counter_page() {
  UniqueFd page(::memfd_create("lmtpd-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!page || ::fchmod(page.get(), 0600) != 0 ||
      ::ftruncate(page.get(), sizeof(std::uint64_t) * kCounterNames.size()) != 0 ||
      ::fcntl(page.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    return fail(Reason::io, errno_text("memory for counters", errno));
  }
  return page;
}

void Counters::Unmap::operator()(Page* page) const { ::munmap(page, sizeof(Page)); }

Result<Counters> Counters::map(const UniqueFd& page, Access access) {
  struct stat status{};
  if (::fstat(page.get(), &status) != 0) {
    return fail(Reason::io, errno_text("the counters' memory", errno));
  }
  if (status.st_size != sizeof(Page)) {
    return fail(Reason::io, fmt::format("the counters' memory has {} octets, not {}",
                                        status.st_size, sizeof(Page)));
  }
  const int protection = access == Access::add ? PROT_READ | PROT_WRITE : PROT_READ;
  void* const memory = ::mmap(nullptr, sizeof(Page), protection, MAP_SHARED, page.get(), 0);
  if (memory == MAP_FAILED) return fail(Reason::io, errno_text("the counters' memory", errno));
  return Counters(static_cast<Page*>(memory));
}

void Counters::add(Counter counter, std::uint64_t times) {
  Shared((*page_)[static_cast<std::size_t>(counter)]).fetch_add(times, std::memory_order_relaxed);
}

std::uint64_t Counters::value(Counter counter) const {
  return Shared((*page_)[static_cast<std::size_t>(counter)]).load(std::memory_order_relaxed);
}

}  // namespace lmtpd
