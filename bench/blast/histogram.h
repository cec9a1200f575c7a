// bench/blast/histogram.h -- latencies, counted in buckets no wider than 1/64 of their value.
//
// Nanoseconds; memory and time do not depend on how many are recorded. The least, the greatest and
// the sum are exact.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace lmtpd::blast {

class Histogram {
 public:
  void record(std::uint64_t nanoseconds) {
    ++buckets_[bucket_of(nanoseconds)];
    ++count_;
    sum_ += nanoseconds;
    max_ = std::max(max_, nanoseconds);
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  [[nodiscard]] std::uint64_t mean() const { return count_ == 0 ? 0 : sum_ / count_; }

  // The least value (to the width of its bucket, rounded up) that `percent` of all do not exceed;
  // 0 when nothing was recorded.
  [[nodiscard]] std::uint64_t percentile(double percent) const {
    if (count_ == 0) return 0;
    const auto wanted = std::clamp<std::uint64_t>(
        static_cast<std::uint64_t>(
            std::ceil((percent / 100.0 - kRounding) * static_cast<double>(count_))),
        1, count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen >= wanted) return std::min(max_, top_of(i));
    }
    return max_;
  }

 private:
  static constexpr unsigned kBits = 6;
  static constexpr double kRounding = 1e-12;  // 99.9 % of 1000 is 999, not a bit more
  static constexpr std::size_t kPerOctave = std::size_t{1} << kBits;

  // Values below 64 have a bucket each; above, the 6 bits behind the leading one choose it.
  static std::size_t bucket_of(std::uint64_t value) {
    if (value < kPerOctave) return static_cast<std::size_t>(value);
    const auto octave = static_cast<unsigned>(std::bit_width(value)) - 1 - kBits;
    return (octave + 1) * kPerOctave + static_cast<std::size_t>((value >> octave) - kPerOctave);
  }
  static std::uint64_t top_of(std::size_t bucket) {
    if (bucket < kPerOctave) return bucket;
    const auto octave = static_cast<unsigned>(bucket / kPerOctave - 1);
    const std::uint64_t low = (bucket % kPerOctave + kPerOctave) << octave;
    return low + ((std::uint64_t{1} << octave) - 1);
  }

  std::array<std::uint64_t, (64 - kBits + 1) * kPerOctave> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace lmtpd::blast
