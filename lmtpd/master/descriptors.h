// lmtpd/master/descriptors.h -- descriptors that go to a role while master keeps its own.
#pragma once

#include "lmtpd/base/unique_fd.h"

namespace lmtpd::master {

// Of the same open file. Closed, and errno, on failure.
[[nodiscard]] UniqueFd duplicate(int fd);

// Of the same file, for reading, with a position of its own, since roles read on their own. Closed,
// and errno, on failure.
[[nodiscard]] UniqueFd reopen(int fd);

}  // namespace lmtpd::master
