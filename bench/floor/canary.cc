#include "bench/floor/canary.h"

#include <fcntl.h>
#include <stdio.h>

#include "bench/floor/must.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::floor {
namespace {

constexpr const char* kNames[] = {"canary-a", "canary-b"};

}  // namespace

Canary::Canary(int base) : base_(base) {
  const UniqueFd file(must(
      ::openat(base_, kNames[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open canary"));
}

void Canary::prove() {
  must(::renameat(base_, kNames[renamed_ ? 1 : 0], base_, kNames[renamed_ ? 0 : 1]),
       "rename canary");
  renamed_ = !renamed_;
}

}  // namespace lmtpd::floor
