#include "lmtpd/base/shared_sync.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "lmtpd/base/log.h"

namespace lmtpd {
namespace {

constexpr const char* kWhat = "the memory of shared syncs";

Result<UniqueFd> make(const char* name, std::size_t size) {
  UniqueFd memory(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory || ::fchmod(memory.get(), 0600) != 0 ||
      ::ftruncate(memory.get(), static_cast<off_t>(size)) != 0 ||
      ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    return fail(Reason::io, errno_text(kWhat, errno));
  }
  return memory;
}

template <class Shared>
Result<SharedMemory<Shared>> map(const UniqueFd& fd, int protection) {
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail(Reason::io, errno_text(kWhat, errno));
  if (status.st_size != sizeof(Shared)) {
    return fail(Reason::io, fmt::format("{} has {} octets", kWhat, status.st_size));
  }
  void* const memory = ::mmap(nullptr, sizeof(Shared), protection, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return fail(Reason::io, errno_text(kWhat, errno));
  return SharedMemory<Shared>(static_cast<Shared*>(memory));
}

}  // namespace

Result<UniqueFd> make_sync_page() { return make("lmtpd-syncs", sizeof(SyncPage)); }
Result<UniqueFd> make_sync_bell() { return make("lmtpd-bell", sizeof(SyncBell)); }

void UnmapShared::unmap(const void* memory, std::size_t size) {
  ::munmap(const_cast<void*>(memory), size);
}

Result<SharedMemory<SyncPage>> map_sync_page(const UniqueFd& page) {
  return map<SyncPage>(page, PROT_READ | PROT_WRITE);
}
Result<SharedMemory<const SyncBell>> map_sync_bell(const UniqueFd& bell) {
  return map<const SyncBell>(bell, PROT_READ);
}

void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t value, std::uint32_t bits,
                std::chrono::nanoseconds until) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(until);
  const timespec time{.tv_sec = seconds.count(), .tv_nsec = (until - seconds).count()};
  ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, value, &time, nullptr, bits);
}

void futex_wake(const std::atomic<std::uint32_t>& word, std::uint32_t bits) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE_BITSET, INT_MAX, nullptr, nullptr, bits);
}

Result<SharedSync> SharedSync::open(const UniqueFd& page, const UniqueFd& bell,
                                    Clock::duration patience) {
  auto mapped_page = map<const SyncPage>(page, PROT_READ);
  if (!mapped_page) return tl::unexpected(mapped_page.error());
  auto mapped_bell = map<SyncBell>(bell, PROT_READ | PROT_WRITE);
  if (!mapped_bell) return tl::unexpected(mapped_bell.error());
  return SharedSync(*std::move(mapped_page), *std::move(mapped_bell), patience);
}

std::uint32_t SharedSync::era() const { return page_->era.load(std::memory_order_acquire); }

SharedSync::Answer SharedSync::wait(std::uint32_t era) const {
  // What was written is in the kernel before `begun` is looked at: a change, if of nothing, is a
  // barrier, and one that ThreadSanitizer knows, unlike a fence.
  const std::uint64_t last_before_silence = last_before_silence_->fetch_add(0);
  const std::uint32_t begun = page_->begun.load();
  const std::uint32_t wanted = begun + 1;
  const std::chrono::nanoseconds now = Clock::now().time_since_epoch();
  const bool is_syncing = page_->ended.load() != begun;
  if (now.count() < page_->rests_until.load() ||
      (is_syncing && now.count() - page_->begun_at.load() > patience_.count())) {
    return Answer::absent;
  }
  ring();
  if (last_before_silence == begun) return Answer::absent;
  const std::chrono::nanoseconds until = now + patience_;
  while (true) {
    const std::uint32_t ended = page_->ended.load();
    if (static_cast<std::int32_t>(ended - wanted) >= 0) {
      return page_->era.load() == era ? Answer::durable : Answer::failed;
    }
    if (Clock::now().time_since_epoch() >= until) {
      if (page_->begun.load() == begun) last_before_silence_->store(begun);
      return Answer::absent;
    }
    futex_wait(page_->ended, ended, 1U << (wanted % 32), until);
  }
}

void SharedSync::ring() const {
  bell_->rings.fetch_add(1);
  // All who wait: one of them may be a taken-over worker.
  futex_wake(bell_->rings, kAllBits);
}

}  // namespace lmtpd
