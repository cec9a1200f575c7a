// lmtpd/base/futex.h -- futex(2) on words of memory that processes share.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace lmtpd {

// Until `word` is not `value`, or somebody wakes it for a bit of `bits`, or CLOCK_MONOTONIC says
// `until`; or for no reason.
void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t value, std::uint32_t bits,
                std::chrono::nanoseconds until);
// All who wait for one of these bits.
void futex_wake(const std::atomic<std::uint32_t>& word, std::uint32_t bits);
constexpr std::uint32_t kAllBits = 0xFFFFFFFF;

}  // namespace lmtpd
