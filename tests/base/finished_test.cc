#include "lmtpd/base/finished.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>
#include <vector>

namespace lmtpd {
namespace {

bool is_readable(int fd) {
  pollfd ready{fd, POLLIN, 0};
  return ::poll(&ready, 1, 0) == 1;
}

TEST(Finished, IsReadableUntilItIsTaken) {
  const auto finished = *Finished<int>::open();
  EXPECT_FALSE(is_readable(finished->fd()));
  EXPECT_TRUE(finished->take().empty());
  finished->add({1, 2});
  finished->add({3});
  EXPECT_TRUE(is_readable(finished->fd()));
  EXPECT_EQ(finished->take(), (std::list{1, 2, 3}));
  EXPECT_FALSE(is_readable(finished->fd()));
  finished->add({4});
  EXPECT_TRUE(is_readable(finished->fd()));
}

TEST(Finished, WakesItsLoopForEverythingThatThreadsAdd) {
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  const auto finished = *Finished<int>::open();
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int item = 0; item < kEach; ++item) finished->add({item});
    });
  }
  std::size_t taken = 0;
  while (taken < kThreads * kEach) {
    pollfd ready{finished->fd(), POLLIN, 0};
    if (::poll(&ready, 1, 20'000) != 1) break;  // it lost a wake-up
    const std::list<int> items = finished->take();
    EXPECT_FALSE(items.empty()) << "an event without an item";
    taken += items.size();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, kThreads * kEach);
}

}  // namespace
}  // namespace lmtpd
