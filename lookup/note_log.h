// lookup/note_log.h -- the same warning once in a while, not once a recipient.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "lmtpd/base/ticket.h"

namespace lmtpd::lookup {

class NoteLog {
 public:
  static constexpr std::chrono::minutes kInterval{5};
  static constexpr std::size_t kMostRemembered = 1000;
  using Write = std::function<void(const std::string& note)>;

  explicit NoteLog(Write write) : write_(std::move(write)) {}

  // Those that were not written within kInterval.
  void write(const std::vector<std::string>& notes, Clock::time_point now);

 private:
  Write write_;
  std::unordered_map<std::string, Clock::time_point> written_;
};

}  // namespace lmtpd::lookup
