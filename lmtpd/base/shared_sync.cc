#include "lmtpd/base/shared_sync.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "lmtpd/base/log.h"

namespace lmtpd {
namespace {

constexpr const char* kWhat = "the memory of shared syncs";

Result<void*> map(const UniqueFd& fd, int protection) {
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail(Reason::io, errno_text(kWhat, errno));
  if (status.st_size != sizeof(SyncPage)) {
    return fail(Reason::io, fmt::format("{} has {} octets", kWhat, status.st_size));
  }
  void* const memory = ::mmap(nullptr, sizeof(SyncPage), protection, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return fail(Reason::io, errno_text(kWhat, errno));
  return memory;
}

// Until `word` is no longer `value`, or is woken, or `until` has passed; or for no reason.
void wait_on(const std::atomic<std::uint32_t>& word, std::uint32_t value, std::uint32_t bit,
             std::chrono::nanoseconds until) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(until);
  const timespec time{.tv_sec = seconds.count(), .tv_nsec = (until - seconds).count()};
  ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, value, &time, nullptr, bit);
}

}  // namespace

Result<UniqueFd> make_sync_page() {
  UniqueFd page(::memfd_create("lmtpd-syncs", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!page || ::fchmod(page.get(), 0600) != 0 || ::ftruncate(page.get(), sizeof(SyncPage)) != 0 ||
      ::fcntl(page.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    return fail(Reason::io, errno_text(kWhat, errno));
  }
  return page;
}

void UnmapSyncPage::operator()(const SyncPage* page) const {
  ::munmap(const_cast<SyncPage*>(page), sizeof(SyncPage));
}

Result<std::unique_ptr<SyncPage, UnmapSyncPage>> map_sync_page(const UniqueFd& fd) {
  const Result<void*> memory = map(fd, PROT_READ | PROT_WRITE);
  if (!memory) return tl::unexpected(memory.error());
  return std::unique_ptr<SyncPage, UnmapSyncPage>(static_cast<SyncPage*>(*memory));
}

Result<SharedSync> SharedSync::open(const UniqueFd& page, UniqueFd bell, Clock::duration patience) {
  const Result<void*> memory = map(page, PROT_READ);
  if (!memory) return tl::unexpected(memory.error());
  return SharedSync(Page(static_cast<const SyncPage*>(*memory)), std::move(bell), patience);
}

std::uint32_t SharedSync::era() const { return page_->era.load(std::memory_order_acquire); }

SharedSync::Answer SharedSync::wait(std::uint32_t era) const {
  // What was written is in the kernel before `begun` is looked at.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const std::uint32_t begun = page_->begun.load();
  const std::uint32_t wanted = begun + 1;
  const std::chrono::nanoseconds now = Clock::now().time_since_epoch();
  const bool is_syncing = page_->ended.load() != begun;
  if (now.count() < page_->rests_until.load() ||
      (is_syncing && now.count() - page_->begun_at.load() > patience_.count())) {
    return Answer::absent;
  }
  // A full bell has been rung.
  if (::write(bell_.get(), "", 1) < 0 && errno != EAGAIN) return Answer::absent;
  const std::chrono::nanoseconds until = now + patience_;
  while (true) {
    const std::uint32_t ended = page_->ended.load();
    if (static_cast<std::int32_t>(ended - wanted) >= 0) {
      return page_->era.load() == era ? Answer::durable : Answer::failed;
    }
    if (Clock::now().time_since_epoch() >= until) return Answer::absent;
    wait_on(page_->ended, ended, 1U << (wanted % 32), until);
  }
}

}  // namespace lmtpd
