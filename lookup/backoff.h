// lookup/backoff.h -- how long to wait before something that failed is tried again.
//
// Doubles with each failure in a row, up to a bound. Random in its upper half, so that those whom
// one cause has failed together do not come back together.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace lmtpd::lookup {

class Backoff {
 public:
  // After one failure at most `first`, ever at most `longest`.
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds longest)
      : first_(first), longest_(longest), random_(std::random_device()()) {}

  // `failures` in a row, one at least.
  [[nodiscard]] std::chrono::milliseconds after(int failures) {
    const auto bound = std::min<std::chrono::milliseconds>(
        first_ * (1 << std::clamp(failures - 1, 0, 16)), longest_);
    std::uniform_int_distribution<std::int64_t> span(bound.count() / 2, bound.count());
    return std::chrono::milliseconds(span(random_));
  }

 private:
  std::chrono::milliseconds first_;
  std::chrono::milliseconds longest_;
  std::minstd_rand random_;
};

}  // namespace lmtpd::lookup
