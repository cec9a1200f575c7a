#include "lookup/empty_result_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lmtpd/base/log.h"

namespace lmtpd::lookup {

void EmptyResultLog::look(std::string_view table, std::string_view key,
                          const std::vector<std::string>& values) {
  if (std::none_of(values.begin(), values.end(), [](auto& value) { return value.empty(); })) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) {
    ++unsaid_;
    return;
  }
  next_ = now + kInterval;
  const std::uint64_t more = std::exchange(unsaid_, 0);
  log_warning("{}: empty lookup result for \"{}\" ignored{}", table, escaped(key),
              more == 0 ? "" : fmt::format(" (and {} more since the last such line)", more));
}

}  // namespace lmtpd::lookup
