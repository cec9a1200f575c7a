// lmtpd/base/counters.h -- the numbers behind lmtpd/base/counter.h, in memory that processes share.
//
// Master makes one page when it starts. Every frontend and committer, of every generation, adds to
// it; lookup reads it for `lmtpctl status`. So counting costs no message, a process's death loses
// nothing, and while master lives a number only grows. Whoever takes one of them over can make
// every number wrong, and with the page nothing else: it holds numbers only
// (lmtpd/base/shared_memory.h). Additions are relaxed: each number is right, two need not be of one
// moment.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <utility>

#include "lmtpd/base/counter.h"
#include "lmtpd/base/result.h"
#include "lmtpd/base/shared_memory.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd {

struct CounterNumbers {
  static constexpr const char* kName = "lmtpd-counters";
  std::array<std::atomic<std::uint64_t>, kCounterNames.size()> of;  // each Counter
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// Who counts; several threads may.
class Counters {
 public:
  // `page` is CounterNumbers, open for reading and writing; it is not needed afterwards. Fails with
  // io.
  [[nodiscard]] static Result<Counters> map(const UniqueFd& page);

  void add(Counter counter, std::uint64_t times = 1);

 private:
  explicit Counters(SharedMemory<CounterNumbers> numbers) : numbers_(std::move(numbers)) {}

  SharedMemory<CounterNumbers> numbers_;
};

// Who shows what was counted; the same, but that reading is enough.
class CounterReader {
 public:
  [[nodiscard]] static Result<CounterReader> map(const UniqueFd& page);

  [[nodiscard]] std::uint64_t value(Counter counter) const;

 private:
  explicit CounterReader(SharedMemory<const CounterNumbers> numbers)
      : numbers_(std::move(numbers)) {}

  SharedMemory<const CounterNumbers> numbers_;
};

}  // namespace lmtpd
