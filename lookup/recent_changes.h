// lookup/recent_changes.h -- which keys' rows have changed a moment ago.
//
// Where tables may be read from a replica, a change that has been notified may not have reached it
// yet: what it answers for such a key is trusted for a short time only. Not thread-safe.
#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "lmtpd/base/ticket.h"

namespace lmtpd::lookup {

class RecentChanges {
 public:
  static constexpr std::chrono::seconds kLag{
      30};  // a replica that is further behind is not waited for
  static constexpr std::chrono::seconds kTrust{2};
  static constexpr std::size_t kMostKeys = 10'000;  // with more, every key counts as changed

  // Unless this is said, all answers are trusted.
  void expect_lag() { has_lag_ = true; }

  void add(std::string_view key, Clock::time_point now) {
    if (!has_lag_) return;
    forget_before(now - kLag);
    if (order_.size() >= kMostKeys) return add_all(now);
    last_[std::string(key)] = now;
    order_.emplace_back(now, key);
  }
  void add_all(Clock::time_point now) {
    if (!has_lag_) return;
    all_ = now;
    last_.clear();
    order_.clear();
  }

  // For how long an answer to `key` that comes now may be kept.
  [[nodiscard]] std::chrono::nanoseconds longest_life(std::string_view key,
                                                      Clock::time_point now) const {
    Clock::time_point changed = all_;
    if (const auto known = last_.find(std::string(key)); known != last_.end()) {
      changed = std::max(changed, known->second);
    }
    const bool is_recent = changed != Clock::time_point::min() && now - changed < kLag;
    return is_recent ? std::chrono::nanoseconds(kTrust) : std::chrono::nanoseconds::max();
  }

 private:
  void forget_before(Clock::time_point time) {
    while (!order_.empty() && order_.front().first < time) {
      const auto known = last_.find(order_.front().second);
      if (known != last_.end() && known->second < time) last_.erase(known);
      order_.pop_front();
    }
  }

  bool has_lag_ = false;
  Clock::time_point all_ = Clock::time_point::min();
  std::unordered_map<std::string, Clock::time_point> last_;
  std::deque<std::pair<Clock::time_point, std::string>> order_;
};

}  // namespace lmtpd::lookup
