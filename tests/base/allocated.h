// tests/base/allocated.h -- what this process has of malloc(3), in octets.
//
// Sanitizers have an allocator of their own, of which it knows nothing (LMTPD_SANITIZED).
#pragma once

#include <malloc.h>

#include <cstddef>

namespace lmtpd {

[[nodiscard]] inline std::size_t allocated() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

}  // namespace lmtpd
