#include "lmtpd/event/event_channel.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "lmtpd/base/messages.h"

namespace {

// What the next calls of sendmsg(2) fail with, and how many there were.
int failures_to_come = 0;
int failure = 0;
int attempts = 0;

}  // namespace

// Before the library's, for all that this program links.
extern "C" ssize_t sendmsg(int socket, const msghdr* message, int flags) {
  static const auto next = reinterpret_cast<decltype(&sendmsg)>(::dlsym(RTLD_NEXT, "sendmsg"));
  ++attempts;
  if (failures_to_come == 0) return next(socket, message, flags);
  --failures_to_come;
  errno = failure;
  return -1;
}

namespace lmtpd {
namespace {

using std::chrono::milliseconds;

class EventChannels : public testing::TestWithParam<int>, protected EventChannel::Owner {
 protected:
  void on_packet(EventChannel&, Packet&) override {}
  void on_closed(EventChannel&) override { is_closed_ = true; }
  void on_drained(EventChannel&) override { is_drained_ = true; }

  void fail(int times) {
    attempts = 0;
    failure = GetParam();
    failures_to_come = times;
  }

  std::optional<std::pair<UniqueFd, UniqueFd>> pair_ = make_channel_pair();
  EventBasePtr base_{event_base_new()};
  EventChannel near_{base_.get(), Channel(std::move(pair_->first)), *this};
  Channel far_{std::move(pair_->second)};
  Packet packet_;
  bool is_closed_ = false;
  bool is_drained_ = false;
  const Clock::time_point start_ = Clock::now();
};

// The socket is writable all the same, so that waiting for that is a busy loop.
TEST_P(EventChannels, TryAgainNowAndThenWhileTheKernelHasNoMemory) {
  fail(5);
  near_.send(Stop{});
  while (!is_drained_) event_base_loop(base_.get(), EVLOOP_ONCE);
  EXPECT_EQ(attempts, 6);
  EXPECT_GE(Clock::now() - start_, 5 * Channel::kRetryTime);
  EXPECT_EQ(far_.receive(packet_), Channel::Status::ok);
  EXPECT_FALSE(is_closed_);
}

TEST_P(EventChannels, AreNotHastenedByWhatIsSentMeanwhile) {
  fail(5);
  constexpr std::size_t kMost = 1000;  // that fit one packet
  std::size_t sent = 0;
  for (; !is_drained_; ++sent) {
    if (sent < kMost) near_.send(Stop{});
    event_base_loop(base_.get(), EVLOOP_NONBLOCK);
  }
  EXPECT_GE(Clock::now() - start_, 5 * Channel::kRetryTime);
  EXPECT_EQ(attempts, 6);
  ASSERT_EQ(far_.receive(packet_), Channel::Status::ok);
  EXPECT_EQ(packet_.frames().size(), std::min(sent, kMost));
}

// unix(7): ETOOMANYREFS is for descriptors in flight.
INSTANTIATE_TEST_SUITE_P(Errors, EventChannels, testing::Values(ENOBUFS, ENOMEM, ETOOMANYREFS));

}  // namespace
}  // namespace lmtpd
