#include "lmtpd/base/counters.h"

namespace lmtpd {

Result<Counters> Counters::map(const UniqueFd& page) {
  auto numbers = map_shared_memory<CounterNumbers>(page);
  if (!numbers) return tl::unexpected(numbers.error());
  return Counters(*std::move(numbers));
}

void Counters::add(Counter counter, std::uint64_t times) {
  numbers_->of[static_cast<std::size_t>(counter)].fetch_add(times, std::memory_order_relaxed);
}

Result<CounterReader> CounterReader::map(const UniqueFd& page) {
  auto numbers = map_shared_memory<const CounterNumbers>(page);
  if (!numbers) return tl::unexpected(numbers.error());
  return CounterReader(*std::move(numbers));
}

std::uint64_t CounterReader::value(Counter counter) const {
  return numbers_->of[static_cast<std::size_t>(counter)].load(std::memory_order_relaxed);
}

}  // namespace lmtpd
