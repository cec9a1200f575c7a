// bench/blast/recipients.h -- the addresses of all patterns, taken in turn for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/blast/address_pattern.h"

namespace lmtpd::blast {

class Recipients {
 public:
  // In the patterns' order, or shuffled by `seed` into one that is the same for each round.
  Recipients(std::vector<AddressPattern> patterns, std::optional<std::uint64_t> seed);

  // The next `n`; all differ if n is no more than there are (and the patterns do not overlap).
  [[nodiscard]] std::vector<std::string> take(std::size_t n);

 private:
  [[nodiscard]] std::string at(std::uint64_t index) const;

  std::vector<AddressPattern> patterns_;
  std::vector<std::uint32_t> order_;  // empty: as they come
  std::uint64_t count_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace lmtpd::blast
