#include "lmtpd/sync/sync_server.h"

#include <fmt/chrono.h>

#include <cerrno>
#include <utility>

#include "lmtpd/base/log.h"

namespace lmtpd::sync {
namespace {

// A taken-over worker can move who waits for the bell to another futex, where nobody rings.
constexpr std::chrono::seconds kLongestWait{1};

}  // namespace

SyncServer::SyncServer(SyncedFileSystem file_system, SharedMemory<SyncPage> page,
                       SharedMemory<const SyncBell> bell, Clock::duration slow, int (*syncfs)(int))
    : file_system_(std::move(file_system)),
      page_(std::move(page)),
      bell_(std::move(bell)),
      slow_(slow),
      syncfs_(syncfs) {
  page_->era.fetch_add(1);
  // A predecessor may not have come to the end of its last one: who waits for that learns it now.
  page_->ended.store(page_->begun.load());
  futex_wake(page_->ended, kAllBits);
}

Result<SyncServer> SyncServer::open(SyncedFileSystem file_system, const UniqueFd& page,
                                    const UniqueFd& bell, Clock::duration slow,
                                    int (*syncfs)(int)) {
  auto mapped_page = map_sync_page(page);
  if (!mapped_page) return tl::unexpected(mapped_page.error());
  auto mapped_bell = map_sync_bell(bell);
  if (!mapped_bell) return tl::unexpected(mapped_bell.error());
  return SyncServer(std::move(file_system), *std::move(mapped_page), *std::move(mapped_bell), slow,
                    syncfs);
}

std::uint32_t SyncServer::wait_for_ring() const {
  std::uint32_t rings = bell_->rings.load();
  while (rings == page_->heard.load()) {
    const std::chrono::nanoseconds now = Clock::now().time_since_epoch();
    futex_wait(bell_->rings, rings, kAllBits, now + kLongestWait);
    rings = bell_->rings.load();
  }
  return rings;
}

void SyncServer::serve() {
  const std::uint32_t rings = wait_for_ring();
  const Clock::time_point begun_at = Clock::now();
  page_->begun_at.store(std::chrono::nanoseconds(begun_at.time_since_epoch()).count());
  const std::uint32_t number = page_->begun.fetch_add(1) + 1;
  page_->heard.store(rings);
  const bool failed = syncfs_(file_system_.root.get()) != 0;
  const int error = errno;
  const Clock::time_point now = Clock::now();
  if (failed || now - begun_at > slow_) {
    page_->rests_until.store(std::chrono::nanoseconds((now + kRest).time_since_epoch()).count());
    log_warning("{}: {}; deliveries sync by themselves for {}", escaped(file_system_.path),
                failed ? errno_text("syncfs", error)
                       : fmt::format("syncfs took {}",
                                     std::chrono::floor<std::chrono::milliseconds>(now - begun_at)),
                kRest);
  }
  if (failed) page_->era.fetch_add(1);
  page_->ended.store(number);
  futex_wake(page_->ended, 1U << (number % 32));
}

}  // namespace lmtpd::sync
