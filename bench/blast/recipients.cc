#include "bench/blast/recipients.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

namespace lmtpd::blast {

Recipients::Recipients(std::vector<AddressPattern> patterns, std::optional<std::uint64_t> seed)
    : patterns_(std::move(patterns)) {
  for (const auto& pattern : patterns_) count_ += pattern.count();
  if (!seed) return;
  order_.resize(count_);
  std::iota(order_.begin(), order_.end(), 0U);
  std::mt19937_64 random(*seed);
  std::shuffle(order_.begin(), order_.end(), random);
}

std::vector<std::string> Recipients::take(std::size_t n) {
  std::vector<std::string> taken;
  taken.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    taken.push_back(at(order_.empty() ? next_ : order_[next_]));
    next_ = (next_ + 1) % count_;
  }
  return taken;
}

std::string Recipients::at(std::uint64_t index) const {
  for (const auto& pattern : patterns_) {
    if (index < pattern.count()) return pattern.at(index);
    index -= pattern.count();
  }
  return {};
}

}  // namespace lmtpd::blast
