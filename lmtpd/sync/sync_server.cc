#include "lmtpd/sync/sync_server.h"

#include <fmt/chrono.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include "lmtpd/base/futex.h"
#include "lmtpd/base/log.h"

namespace lmtpd::sync {
namespace {

// A taken-over worker can move who waits for the bell to another futex, where nobody rings.
constexpr std::chrono::seconds kLongestWait{1};

// Who was served by one sync mostly wants the next, for the name in new/, and rings a moment later.
// Begun at once, that sync would serve the others alone, and each would wait for the end of one
// that does not serve it; so a sync begins when an eighth of what the last one took has passed
// (docs/durability.md).
constexpr int kGathering = 8;
constexpr std::chrono::milliseconds kLongestGathering{10};

}  // namespace

SyncServer::SyncServer(SyncedFileSystem file_system, SharedMemory<SyncPage> page,
                       SharedMemory<const SyncBell> bell, Counters& counters, Clock::duration slow,
                       int (*syncfs)(int))
    : file_system_(std::move(file_system)),
      page_(std::move(page)),
      bell_(std::move(bell)),
      counters_(&counters),
      slow_(slow),
      syncfs_(syncfs) {
  page_->era.fetch_add(1);
  // A predecessor may not have come to the end of its last one: who waits for that learns it now.
  page_->ended.store(page_->begun.load());
  futex_wake(page_->ended, kAllBits);
}

Result<SyncServer> SyncServer::open(SyncedFileSystem file_system, const UniqueFd& page,
                                    const UniqueFd& bell, Counters& counters, Clock::duration slow,
                                    int (*syncfs)(int)) {
  auto mapped_page = map_shared_memory<SyncPage>(page);
  if (!mapped_page) return tl::unexpected(mapped_page.error());
  auto mapped_bell = map_shared_memory<const SyncBell>(bell);
  if (!mapped_bell) return tl::unexpected(mapped_bell.error());
  return SyncServer(std::move(file_system), *std::move(mapped_page), *std::move(mapped_bell),
                    counters, slow, syncfs);
}

void SyncServer::wait_for_ring() const {
  const std::uint32_t heard = page_->heard.load();
  while (bell_->rings.load() == heard) {
    const std::chrono::nanoseconds now = Clock::now().time_since_epoch();
    futex_wait(bell_->rings, heard, kAllBits, now + kLongestWait);
  }
}

void SyncServer::serve() {
  wait_for_ring();
  std::this_thread::sleep_for(std::min<Clock::duration>(took_ / kGathering, kLongestGathering));
  const std::uint32_t rings = bell_->rings.load();
  const Clock::time_point begun_at = Clock::now();
  page_->begun_at.store(std::chrono::nanoseconds(begun_at.time_since_epoch()).count());
  const std::uint32_t number = page_->begun.fetch_add(1) + 1;
  counters_->add(Counter::shared_sync_requests, rings - page_->heard.exchange(rings));
  const bool failed = syncfs_(file_system_.root.get()) != 0;
  const int error = errno;
  const Clock::time_point now = Clock::now();
  took_ = now - begun_at;
  counters_->add(Counter::shared_syncs);
  if (failed || took_ > slow_) {
    counters_->add(Counter::shared_sync_rests);
    page_->rests_until.store(std::chrono::nanoseconds((now + kRest).time_since_epoch()).count());
    log_warning("{}: {}; deliveries sync by themselves for {}", escaped(file_system_.path),
                failed ? errno_text("syncfs", error)
                       : fmt::format("syncfs took {}",
                                     std::chrono::floor<std::chrono::milliseconds>(took_)),
                kRest);
  }
  if (failed) page_->era.fetch_add(1);
  page_->ended.store(number);
  futex_wake(page_->ended, 1U << (number % 32));
}

}  // namespace lmtpd::sync
