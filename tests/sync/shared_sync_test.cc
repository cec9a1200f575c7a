#include "lmtpd/base/shared_sync.h"

#include <gmock/gmock.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "lmtpd/sync/sync_server.h"
#include "tests/sync/shared_page.h"

namespace lmtpd {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""min;
using Answer = SharedSync::Answer;

// A syncfs(2) that stays under way until the test ends it, with the errno it says.
class HeldSync {
 public:
  HeldSync() { self() = this; }
  ~HeldSync() { self() = nullptr; }
  HeldSync(const HeldSync&) = delete;
  HeldSync& operator=(const HeldSync&) = delete;

  static int call(int) {
    HeldSync& held = *self();
    std::unique_lock lock(held.mutex_);
    const int number = ++held.begun_;
    held.changed_.notify_all();
    held.changed_.wait(lock, [&] { return held.all_ended_ || held.ended_.contains(number); });
    errno = held.error_;
    return held.error_ == 0 ? 0 : -1;
  }

  void wait_for_begin(int number) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return begun_ >= number; });
  }
  // That one, now or as soon as it begins.
  void end(int number, int error = 0) {
    const std::lock_guard lock(mutex_);
    ended_.insert(number);
    error_ = error;
    changed_.notify_all();
  }
  void end_all() {
    const std::lock_guard lock(mutex_);
    all_ended_ = true;
    error_ = 0;
    changed_.notify_all();
  }
  [[nodiscard]] int begun() {
    const std::lock_guard lock(mutex_);
    return begun_;
  }

 private:
  static HeldSync*& self() {
    static HeldSync* value = nullptr;
    return value;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  int begun_ = 0;
  std::set<int> ended_;
  bool all_ended_ = false;
  int error_ = 0;
};

class SharedSyncTest : public ::testing::Test {
 protected:
  ~SharedSyncTest() override {
    held_.end_all();
    page_.stop();
  }

  void serve(Clock::duration slow = 1min) { page_.serve(HeldSync::call, slow); }
  SharedSync& client(Clock::duration patience = 1min) {
    return *clients_.emplace_back(std::make_unique<SharedSync>(page_.client(patience)));
  }
  // Waits in a thread, as of the era that is now; returns once its ring can be heard.
  std::future<Answer> begin_wait(SharedSync& client) {
    const std::uint32_t rings = page_.rings();
    std::future<Answer> answer =
        std::async(std::launch::async, [&client, era = client.era()] { return client.wait(era); });
    while (page_.rings() == rings) std::this_thread::yield();
    return answer;
  }
  static bool is_over(std::future<Answer>& answer) {
    return answer.wait_for(0ms) == std::future_status::ready;
  }

  testing::SharedPage page_;
  HeldSync held_;

 private:
  std::vector<std::unique_ptr<SharedSync>> clients_;
};

TEST_F(SharedSyncTest, OneSyncThatBeganLaterServesAllWhoWait) {
  serve();
  SharedSync& waiting = client();
  page_.ring();
  held_.wait_for_begin(1);
  std::vector<std::future<Answer>> answers;
  for (int i = 0; i < 5; ++i) answers.push_back(begin_wait(waiting));
  held_.end(1);
  held_.wait_for_begin(2);
  // The first may have looked at the disk before they had written.
  for (auto& answer : answers) EXPECT_FALSE(is_over(answer));
  held_.end(2);
  for (auto& answer : answers) EXPECT_EQ(answer.get(), Answer::durable);
  EXPECT_EQ(held_.begun(), 2);
}

TEST_F(SharedSyncTest, SyncsAreCountedAndWhoAskedForThem) {
  page_.ring(3);
  serve();
  SharedSync& waiting = client();
  held_.wait_for_begin(1);
  std::future<Answer> answer = begin_wait(waiting);
  held_.end(1);
  held_.end(2);
  EXPECT_EQ(answer.get(), Answer::durable);
  EXPECT_EQ(page_.counted(Counter::shared_syncs), 2U);
  EXPECT_EQ(page_.counted(Counter::shared_sync_requests), 4U);
  EXPECT_EQ(page_.counted(Counter::shared_sync_rests), 0U);
}

TEST_F(SharedSyncTest, AFailedSyncIsToldToAllWhoWaitAndNobodyWaitsForTheNext) {
  serve();
  SharedSync& waiting = client();
  std::future<Answer> answer =
      std::async(std::launch::async, [&, era = waiting.era()] { return waiting.wait(era); });
  held_.wait_for_begin(1);
  held_.end(1, EIO);
  EXPECT_EQ(answer.get(), Answer::failed);
  EXPECT_EQ(waiting.wait(waiting.era()), Answer::absent);
  EXPECT_EQ(page_.rings(), 0U);
  EXPECT_EQ(page_.counted(Counter::shared_sync_rests), 1U);
}

// The kernel may have told the error of this write to the sync before it.
TEST_F(SharedSyncTest, AFailureInTheEraSpoilsTheSyncsAfterIt) {
  serve();
  SharedSync& waiting = client();
  page_.ring();
  held_.wait_for_begin(1);
  std::future<Answer> answer = begin_wait(waiting);
  held_.end(1, EIO);
  held_.wait_for_begin(2);
  held_.end(2);
  EXPECT_EQ(answer.get(), Answer::failed);
}

TEST_F(SharedSyncTest, AfterASlowSyncNobodyWaits) {
  serve(0ms);
  SharedSync& waiting = client();
  held_.end(1);
  EXPECT_EQ(waiting.wait(waiting.era()), Answer::durable);
  EXPECT_EQ(waiting.wait(waiting.era()), Answer::absent);
  EXPECT_EQ(held_.begun(), 1);
  EXPECT_EQ(page_.counted(Counter::shared_sync_rests), 1U);
}

TEST_F(SharedSyncTest, PatienceEnds) {
  SharedSync& waiting = client(1ms);
  EXPECT_EQ(waiting.wait(waiting.era()), Answer::absent);
  EXPECT_EQ(page_.rings(), 1U);
}

TEST_F(SharedSyncTest, WhoWaitedInVainHasRungForTheNext) {
  SharedSync& waiting = client(1ms);
  EXPECT_EQ(waiting.wait(waiting.era()), Answer::absent);
  EXPECT_EQ(waiting.wait(waiting.era()), Answer::absent);
  EXPECT_EQ(page_.rings(), 2U);
  held_.end_all();
  serve();
  SharedSync& patient = client();
  EXPECT_EQ(patient.wait(patient.era()), Answer::durable);
}

TEST_F(SharedSyncTest, NobodyWaitsForASyncThatIsUnderWayForTooLong) {
  serve();
  SharedSync& waiting = client(1ms);
  page_.ring();
  held_.wait_for_begin(1);
  EXPECT_EQ(waiting.wait(waiting.era()), Answer::absent);
  const std::uint32_t rings = page_.rings();
  EXPECT_EQ(waiting.wait(waiting.era()), Answer::absent);
  EXPECT_EQ(page_.rings(), rings);
}

// Its successor has a descriptor that may not know of an error before.
TEST_F(SharedSyncTest, TheEndOfACommitterEndsTheEra) {
  SharedSync& waiting = client();
  std::future<Answer> answer = begin_wait(waiting);
  held_.end_all();
  serve();
  EXPECT_EQ(answer.get(), Answer::failed);
  EXPECT_EQ(waiting.wait(waiting.era()), Answer::durable);
}

TEST_F(SharedSyncTest, ASuccessorGoesOnWhereItsPredecessorDiedInASync) {
  serve();
  SharedSync& waiting = client();
  page_.ring();
  held_.wait_for_begin(1);
  // The first server stays in its sync, as one that was killed there.
  std::future<Answer> answer = begin_wait(waiting);
  serve();
  held_.end(2);
  EXPECT_EQ(answer.get(), Answer::failed);
  held_.end(3);
  EXPECT_EQ(waiting.wait(waiting.era()), Answer::durable);
}

TEST_F(SharedSyncTest, WhatWasRungBeforeACommitterCameIsHeard) {
  page_.ring();
  serve();
  held_.wait_for_begin(1);
}

TEST_F(SharedSyncTest, ManyRingsAreHeardAsOne) {
  page_.ring(1'000'000);
  serve();
  held_.wait_for_begin(1);
  held_.end_all();
  SharedSync& waiting = client();
  EXPECT_EQ(waiting.wait(waiting.era()), Answer::durable);
  EXPECT_EQ(held_.begun(), 2);
}

TEST_F(SharedSyncTest, TheNumberOfRingsMayWrapAround) {
  serve();
  held_.end_all();
  page_.ring(0xFFFFFFFF);
  held_.wait_for_begin(1);
  SharedSync& waiting = client();
  EXPECT_EQ(waiting.wait(waiting.era()), Answer::durable);
}

// A taken-over worker may.
TEST_F(SharedSyncTest, WhoWaitsForTheBellCanBeMovedToAnotherAndHearsItStill) {
  serve();
  held_.end_all();
  const UniqueFd bell = page_.readable_bell();
  const auto mapped = map_shared_memory<const SyncBell>(bell).value();
  std::uint32_t another = 0;
  // Once it is there to be moved.
  while (::syscall(SYS_futex, &mapped->rings, FUTEX_REQUEUE, 0, INT_MAX, &another, 0) != 1) {
    std::this_thread::yield();
  }
  SharedSync& waiting = client();
  EXPECT_EQ(waiting.wait(waiting.era()), Answer::durable);
}

}  // namespace
}  // namespace lmtpd
