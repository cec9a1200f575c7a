#include "bench/floor/must.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace lmtpd::floor {

int must(long result, const char* call) {
  if (result >= 0) return static_cast<int>(result);
  const int error = errno;
  fmt::print(stderr, "floor: {}: {}\n", call, std::generic_category().message(error));
  ::_exit(1);
}

}  // namespace lmtpd::floor
