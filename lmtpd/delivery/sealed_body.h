// lmtpd/delivery/sealed_body.h -- a body that came as a memfd, checked before anything is read of
// it.
#pragma once

#include <cstdint>

#include "lmtpd/base/result.h"

namespace lmtpd::delivery {

// Success: `fd` is a memfd of `size` octets that nobody can write, shrink, grow or unseal any more,
// so that what pread(2) returns cannot change between two deliveries of it. Fails with Reason::io.
[[nodiscard]] Result<void> check_sealed_body(int fd, std::uint64_t size);

}  // namespace lmtpd::delivery
