#include "lmtpd/sync/sync_server.h"

#include <fmt/chrono.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <climits>
#include <utility>

#include "lmtpd/base/log.h"

namespace lmtpd::sync {
namespace {

// True: somebody has rung, once or often.
bool wait_for_ring(int bell) {
  std::array<char, 4096> rings;
  ssize_t got = 0;
  do {
    got = ::read(bell, rings.data(), rings.size());
  } while (got < 0 && errno == EINTR);
  return got > 0;
}

}  // namespace

SyncServer::SyncServer(SyncedFileSystem file_system, Page page, Clock::duration slow,
                       int (*syncfs)(int))
    : file_system_(std::move(file_system)), page_(std::move(page)), slow_(slow), syncfs_(syncfs) {
  page_->era.fetch_add(1);
  // Of a predecessor that did not come to the end of its last one: who waits for that waits for the
  // next.
  page_->ended.store(page_->begun.load());
}

Result<SyncServer> SyncServer::open(SyncedFileSystem file_system, const UniqueFd& page,
                                    Clock::duration slow, int (*syncfs)(int)) {
  auto mapped = map_sync_page(page);
  if (!mapped) return tl::unexpected(mapped.error());
  return SyncServer(std::move(file_system), *std::move(mapped), slow, syncfs);
}

bool SyncServer::serve() {
  if (!wait_for_ring(file_system_.bell.get())) return false;
  const Clock::time_point begun_at = Clock::now();
  page_->begun_at.store(std::chrono::nanoseconds(begun_at.time_since_epoch()).count());
  const std::uint32_t number = page_->begun.fetch_add(1) + 1;
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
  ::syscall(SYS_futex, &page_->ended, FUTEX_WAKE_BITSET, INT_MAX, nullptr, nullptr,
            1U << (number % 32));
  return true;
}

}  // namespace lmtpd::sync
