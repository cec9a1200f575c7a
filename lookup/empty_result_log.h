// lookup/empty_result_log.h -- a word in the log on values that a lookup leaves out, NULL or empty.
//
// Postfix warns of each ("empty lookup result for: ... -- ignored"); here a table has one line an
// interval, with the key and how many more there were.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lmtpd::lookup {

class EmptyResultLog {
 public:
  static constexpr std::chrono::minutes kInterval{1};

  // Looks for empty ones among a lookup's values.
  void look(std::string_view table, std::string_view key, const std::vector<std::string>& values);

 private:
  std::uint64_t unsaid_ = 0;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace lmtpd::lookup
