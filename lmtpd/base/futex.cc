#include "lmtpd/base/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>

namespace lmtpd {

void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t value, std::uint32_t bits,
                std::chrono::nanoseconds until) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(until);
  const timespec time{.tv_sec = seconds.count(), .tv_nsec = (until - seconds).count()};
  ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, value, &time, nullptr, bits);
}

void futex_wake(const std::atomic<std::uint32_t>& word, std::uint32_t bits) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE_BITSET, INT_MAX, nullptr, nullptr, bits);
}

}  // namespace lmtpd
