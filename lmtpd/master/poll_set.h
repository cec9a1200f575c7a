// lmtpd/master/poll_set.h -- what one turn of master's loop waits for (poll(2)).
//
// Built anew each turn: master holds some hundred descriptors and turns only when a role starts,
// asks or dies, so that nothing is gained by keeping it.
#pragma once

#include <poll.h>

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "lmtpd/base/ticket.h"

namespace lmtpd::master {

class PollSet {
 public:
  // Called with revents. It may mark the objects of this set dead, but not destroy them.
  using Ready = std::function<void(short)>;

  void add(int fd, short events, Ready ready);
  // wait() returns then at the latest.
  void add_deadline(Clock::time_point deadline);

  // Waits for a descriptor or a deadline, and calls what is ready.
  void wait();

 private:
  std::vector<pollfd> descriptors_;
  std::vector<Ready> ready_;
  std::optional<Clock::time_point> deadline_;
};

}  // namespace lmtpd::master
