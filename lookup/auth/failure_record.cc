#include "lookup/auth/failure_record.h"

#include <algorithm>

namespace lmtpd::lookup {

std::chrono::milliseconds FailureRecord::wait(const std::string& name,
                                              Clock::time_point now) const {
  const auto found = places_.find(name);
  if (found == places_.end() || now - found->second->last > kMemory) {
    return std::chrono::milliseconds(0);
  }
  std::chrono::milliseconds wait = kFirstWait;
  for (std::uint64_t i = 1; i < found->second->failures && wait < kLongestWait; ++i) wait *= 2;
  return std::min(wait, kLongestWait);
}

std::uint64_t FailureRecord::add(const std::string& name, Clock::time_point now) {
  const auto found = places_.find(name);
  if (found == places_.end()) {
    entries_.push_front({name, 0, now});
    places_.emplace(entries_.front().name, entries_.begin());
  } else {
    entries_.splice(entries_.begin(), entries_, found->second);
  }
  Entry& entry = entries_.front();
  if (now - entry.last > kMemory) entry.failures = 0;
  entry.last = now;
  const std::uint64_t failures = ++entry.failures;
  while (entries_.size() > most_) {
    places_.erase(entries_.back().name);
    entries_.pop_back();
  }
  return failures;
}

void FailureRecord::forget(const std::string& name) {
  const auto found = places_.find(name);
  if (found == places_.end()) return;
  const auto entry = found->second;
  places_.erase(found);
  entries_.erase(entry);
}

}  // namespace lmtpd::lookup
