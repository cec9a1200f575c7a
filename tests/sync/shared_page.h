// tests/sync/shared_page.h -- the memory and the bell between a SyncServer and a SharedSync.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "lmtpd/base/counters.h"
#include "lmtpd/base/futex.h"
#include "lmtpd/base/shared_sync.h"
#include "lmtpd/sync/sync_server.h"

namespace lmtpd::testing {

class SharedPage {
 public:
  SharedPage()
      : page_(make_shared_memory<SyncPage>().value()),
        bell_(make_shared_memory<SyncBell>().value()),
        counts_(map_shared_memory<SyncPage>(page_).value()),
        counters_(Counters::map(numbers_).value()) {}
  ~SharedPage() { stop(); }
  SharedPage(const SharedPage&) = delete;
  SharedPage& operator=(const SharedPage&) = delete;

  [[nodiscard]] SharedSync client(Clock::duration patience = std::chrono::minutes(1)) const {
    return SharedSync::open(readable(page_), bell_, patience).value();
  }
  // A committer, in a thread until stop().
  void serve(int (*syncfs)(int), Clock::duration slow = std::chrono::minutes(1)) {
    ++serving_;
    threads_.emplace_back([this, server = server(syncfs, slow)]() mutable {
      while (!over_) server.serve();
      --serving_;
    });
  }
  // No sync is held any more.
  void stop() {
    over_ = true;
    while (serving_ > 0) {
      ring();
      std::this_thread::yield();
    }
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  // As the committer gets it.
  [[nodiscard]] UniqueFd readable_bell() const { return readable(bell_); }

  // As one that asks neither whether a sync is to be waited for, nor what others ring meanwhile.
  void ring(std::uint32_t times = 1) const {
    const std::uint32_t rings = bell()->rings + times;
    ASSERT_EQ(::pwrite(bell_.get(), &rings, sizeof rings, 0), ssize_t{sizeof rings});
    futex_wake(bell()->rings, kAllBits);
  }
  // Until the syncs that were rung for are over; nobody else rings meanwhile.
  void wait_for_syncs() const {
    while (rings() != 0 || counts_->ended != counts_->begun) std::this_thread::yield();
  }
  // As after a sync that was slow, and as later. No sync is under way.
  void begin_rest() const { counts_->rests_until = INT64_MAX; }
  void end_rest() const { counts_->rests_until = 0; }
  // Not yet heard.
  [[nodiscard]] std::uint32_t rings() const { return bell()->rings - counts_->heard; }
  [[nodiscard]] std::uint64_t counted(Counter counter) const {
    return CounterReader::map(numbers_).value().value(counter);
  }

 private:
  [[nodiscard]] static UniqueFd readable(const UniqueFd& fd) {
    return UniqueFd(
        ::open(fmt::format("/proc/self/fd/{}", fd.get()).c_str(), O_RDONLY | O_CLOEXEC));
  }
  [[nodiscard]] SharedMemory<const SyncBell> bell() const {
    return map_shared_memory<const SyncBell>(bell_).value();
  }
  [[nodiscard]] sync::SyncServer server(int (*syncfs)(int), Clock::duration slow) {
    return sync::SyncServer::open({"/mail", UniqueFd(::open("/usr", O_RDONLY | O_CLOEXEC))}, page_,
                                  readable_bell(), counters_, slow, syncfs)
        .value();
  }

  UniqueFd page_;
  UniqueFd bell_;
  SharedMemory<SyncPage> counts_;
  UniqueFd numbers_ = make_shared_memory<CounterNumbers>().value();
  Counters counters_;
  std::atomic<bool> over_ = false;
  std::atomic<int> serving_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace lmtpd::testing
