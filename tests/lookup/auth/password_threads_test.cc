#include "lookup/auth/password_threads.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <map>
#include <semaphore>

namespace lmtpd::lookup {
namespace {

const StoredPassword& stored() {
  static const StoredPassword hash = *StoredPassword::parse("EDUdKr924WQFs");
  return hash;
}

std::map<std::uint64_t, bool> take(PasswordThreads& threads, std::size_t count) {
  std::map<std::uint64_t, bool> all;
  while (all.size() < count) {
    pollfd ready{.fd = threads.fd(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 60'000) != 1) break;
    for (const auto& [id, matches] : threads.take_finished()) all.emplace(id, matches);
  }
  return all;
}

TEST(PasswordThreads, TellWhichPasswordsMatch) {
  const auto threads = *PasswordThreads::open(
      [](const StoredPassword& hash, std::string_view password) { return hash.matches(password); });
  EXPECT_TRUE(threads->start(1, stored(), "pencil"));
  EXPECT_TRUE(threads->start(2, stored(), "pen"));
  EXPECT_EQ(take(*threads, 2), (std::map<std::uint64_t, bool>{{1, true}, {2, false}}));
}

TEST(PasswordThreads, TakeNoMoreThanTheirQueueHolds) {
  std::counting_semaphore<> gate(0);
  std::atomic<std::size_t> begun = 0;
  const auto threads = *PasswordThreads::open([&](const StoredPassword&, std::string_view) {
    ++begun;
    begun.notify_all();
    gate.acquire();
    return true;
  });
  // Every thread has one in hand before the queue is filled.
  const std::size_t hands = std::max(1U, std::thread::hardware_concurrency());
  std::uint64_t started = 0;
  for (; started < hands; ++started) {
    ASSERT_TRUE(threads->start(started, stored(), "x"));
    for (std::size_t seen = begun; seen <= started; seen = begun) begun.wait(seen);
  }
  for (std::size_t i = 0; i < PasswordThreads::kMostWaiting; ++i) {
    EXPECT_TRUE(threads->start(started++, stored(), "x"));
  }
  EXPECT_FALSE(threads->start(started, stored(), "x"));
  gate.release(static_cast<std::ptrdiff_t>(started));
  EXPECT_EQ(take(*threads, started).size(), started);
}

TEST(PasswordThreads, EndWithWorkUndone) {
  std::atomic<int> begun = 0;
  auto threads = *PasswordThreads::open([&](const StoredPassword&, std::string_view) {
    ++begun;
    return true;
  });
  EXPECT_TRUE(threads->start(1, stored(), "x"));
  threads.reset();
  EXPECT_LE(begun, 1);
}

}  // namespace
}  // namespace lmtpd::lookup
