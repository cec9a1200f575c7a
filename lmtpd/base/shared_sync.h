// lmtpd/base/shared_sync.h -- one syncfs(2) for all who wait for one, told through shared memory.
//
// For each file system there are two pieces of memory, a page and a bell. The committer alone can
// write the page: it counts the syncs that it begins and ends. Whoever has written something reads
// how many were begun, rings, and waits for the end of the next one; that one began after the
// write, and serves all who wait. All workers can write the bell, which is a number: a pipe or an
// eventfd would have a flag that each of them can change, and then others would block. A taken-over
// worker can ring, and keep others' rings from the bell: so it can cause syncs, which any user may
// ask for, and make others wait out their patience.
//
// An error may be told too early: the kernel writes a file out before its writer has rung, that
// fails, and the sync of somebody else gets the error while the next one succeeds. So a failed sync
// ends an era, and so does a committer's end, whose successor has another descriptor: who names the
// era that was before its first write gets no success of a later one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "lmtpd/base/result.h"
#include "lmtpd/base/shared_memory.h"
#include "lmtpd/base/ticket.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd {

// All numbers may wrap around; times are of CLOCK_MONOTONIC, which all processes share.
struct SyncPage {
  static constexpr const char* kName = "lmtpd-syncs";
  std::atomic<std::uint32_t> begun;
  std::atomic<std::uint32_t> ended;  // a futex; a waiter's bit is that of the sync it waits for
  std::atomic<std::uint32_t> era;
  std::atomic<std::uint32_t> heard;       // the rings as they stood before the last one began
  std::atomic<std::int64_t> begun_at;     // the last one, in nanoseconds
  std::atomic<std::int64_t> rests_until;  // nobody is to wait before, in nanoseconds
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

struct SyncBell {
  static constexpr const char* kName = "lmtpd-bell";
  std::atomic<std::uint32_t> rings;  // a futex
};

// The one who waits. Several threads may use it. Where one of them has waited in vain, and no sync
// has begun since, the others ring, and do not wait: the committer is not there, or is not heard
// of.
class SharedSync {
 public:
  enum class Answer : std::uint8_t {
    durable,  // a sync that began after the call has succeeded, and none failed in the era
    failed,   // a sync has failed since the era began: nothing is known
    absent,   // none came in time, or none is to be waited for now: sync by yourself
  };

  // `page` is open for reading, `bell` for reading and writing. Neither is needed afterwards. Fails
  // with io.
  [[nodiscard]] static Result<SharedSync> open(const UniqueFd& page, const UniqueFd& bell,
                                               Clock::duration patience);

  // To be read before the first write that is to be durable.
  [[nodiscard]] std::uint32_t era() const;
  // Waits, no longer than the patience, for a sync of all that the caller has written or renamed.
  [[nodiscard]] Answer wait(std::uint32_t era) const;

 private:
  SharedSync(SharedMemory<const SyncPage> page, SharedMemory<SyncBell> bell,
             Clock::duration patience)
      : page_(std::move(page)), bell_(std::move(bell)), patience_(patience) {}
  void ring() const;

  SharedMemory<const SyncPage> page_;
  SharedMemory<SyncBell> bell_;
  Clock::duration patience_;
  // The last one that had begun when somebody waited in vain; at first no number of a sync.
  std::unique_ptr<std::atomic<std::uint64_t>> last_before_silence_ =
      std::make_unique<std::atomic<std::uint64_t>>(~std::uint64_t{0});
};

}  // namespace lmtpd
