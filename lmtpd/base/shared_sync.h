// lmtpd/base/shared_sync.h -- one syncfs(2) for all who wait for one, told through shared memory.
//
// For each file system there is a page of memory and a bell. The committer alone can write the
// page: it counts the syncs that it begins and ends. Whoever has written something reads how many
// were begun, rings, and waits for the end of the next one; that one began after the write, and
// serves all who wait. A taken-over worker can ring, and keep others' rings from the bell: so it
// can cause syncs, which any user may ask for, and make others wait out their patience.
//
// An error may be told too early: the kernel writes a file out before its writer has rung, that
// fails, and the sync of somebody else gets the error while the next one succeeds. So a failed sync
// ends an era, and so does a committer's end, whose successor has another descriptor: who names the
// era that was before its first write gets no success of a later one.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "lmtpd/base/result.h"
#include "lmtpd/base/ticket.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd {

// What is in the memory. All numbers may wrap around; times are of CLOCK_MONOTONIC, which all
// processes share.
struct SyncPage {
  std::atomic<std::uint32_t> begun;
  std::atomic<std::uint32_t> ended;  // a futex; a waiter's bit is that of the sync it waits for
  std::atomic<std::uint32_t> era;
  std::atomic<std::int64_t> begun_at;     // the last one, in nanoseconds
  std::atomic<std::int64_t> rests_until;  // nobody is to wait before, in nanoseconds
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

// A memfd of a SyncPage, all 0, of its maker's user, who alone can open it anew. Fails with io.
[[nodiscard]] Result<UniqueFd> make_sync_page();

struct UnmapSyncPage {
  void operator()(const SyncPage* page) const;
};

// The committer's. `fd` is open for reading and writing and not needed afterwards. Fails with io.
[[nodiscard]] Result<std::unique_ptr<SyncPage, UnmapSyncPage>> map_sync_page(const UniqueFd& fd);

// The one who waits. Several threads may use it.
class SharedSync {
 public:
  enum class Answer : std::uint8_t {
    durable,  // a sync that began after the call has succeeded, and none failed in the era
    failed,   // a sync has failed since the era began: nothing is known
    absent,   // none came in time, or none is to be waited for now: sync by yourself
  };

  // `page` is open for reading and not needed afterwards; `bell` is the end of a pipe that does not
  // block. Fails with io.
  [[nodiscard]] static Result<SharedSync> open(const UniqueFd& page, UniqueFd bell,
                                               Clock::duration patience);

  // To be read before the first write that is to be durable.
  [[nodiscard]] std::uint32_t era() const;
  // Waits, no longer than the patience, for a sync of all that the caller has written or renamed.
  [[nodiscard]] Answer wait(std::uint32_t era) const;

 private:
  using Page = std::unique_ptr<const SyncPage, UnmapSyncPage>;
  SharedSync(Page page, UniqueFd bell, Clock::duration patience)
      : page_(std::move(page)), bell_(std::move(bell)), patience_(patience) {}

  Page page_;
  UniqueFd bell_;
  Clock::duration patience_;
};

}  // namespace lmtpd
