#include "lmtpd/master/poll_set.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace lmtpd::master {

void PollSet::add(int fd, short events, Ready ready) {
  descriptors_.push_back({fd, events, 0});
  ready_.push_back(std::move(ready));
}

void PollSet::add_deadline(Clock::time_point deadline) {
  deadline_ = deadline_ ? std::min(*deadline_, deadline) : deadline;
}

void PollSet::wait() {
  int timeout = -1;
  if (deadline_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - Clock::now());
    timeout = static_cast<int>(
        std::clamp<std::int64_t>(left.count(), 0, std::numeric_limits<int>::max()));
  }
  // EINTR: every signal that master handles is blocked and read from a signalfd; a stray one costs
  // a turn.
  if (::poll(descriptors_.data(), descriptors_.size(), timeout) <= 0) return;
  for (std::size_t i = 0; i < descriptors_.size(); ++i) {
    if (descriptors_[i].revents != 0) ready_[i](descriptors_[i].revents);
  }
}

}  // namespace lmtpd::master
