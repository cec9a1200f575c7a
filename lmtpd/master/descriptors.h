// lmtpd/master/descriptors.h -- how many descriptors a process may have, and those that go to a
// role while master keeps its own.
#pragma once

#include <cstdint>

#include "lmtpd/base/unique_fd.h"

namespace lmtpd::master {

// What lmtpd raises the limit of each process to, if it is less; the unit has the same.
inline constexpr std::uint32_t kDescriptorLimit = 65'536;

// Of the same open file. Closed, and errno, on failure.
[[nodiscard]] UniqueFd duplicate(int fd);

// Of the same file, for reading, with a position of its own, since roles read on their own. Closed,
// and errno, on failure.
[[nodiscard]] UniqueFd reopen(int fd);

}  // namespace lmtpd::master
