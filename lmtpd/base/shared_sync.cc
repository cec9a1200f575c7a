#include "lmtpd/base/shared_sync.h"

#include <chrono>

#include "lmtpd/base/futex.h"

namespace lmtpd {

Result<SharedSync> SharedSync::open(const UniqueFd& page, const UniqueFd& bell,
                                    Clock::duration patience) {
  auto mapped_page = map_shared_memory<const SyncPage>(page);
  if (!mapped_page) return tl::unexpected(mapped_page.error());
  auto mapped_bell = map_shared_memory<SyncBell>(bell);
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
