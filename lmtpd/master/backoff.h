// lmtpd/master/backoff.h -- how long a role that died waits before it is started again, and one
// whose channel ended, for another.
#pragma once

#include <algorithm>
#include <chrono>

namespace lmtpd::master {

// 100 ms, doubled at each death up to 30 s; a life of 60 s starts over.
class Backoff {
 public:
  using Duration = std::chrono::milliseconds;

  // The wait after a life of `lived`.
  [[nodiscard]] Duration after_death(std::chrono::nanoseconds lived) {
    if (lived >= kLongLife) next_ = kShortest;
    const Duration wait = next_;
    next_ = std::min(next_ * 2, kLongest);
    return wait;
  }

  static constexpr Duration kShortest{100};
  static constexpr Duration kLongest{30'000};
  static constexpr Duration kLongLife{60'000};

 private:
  Duration next_ = kShortest;
};

}  // namespace lmtpd::master
