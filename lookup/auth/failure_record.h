// lookup/auth/failure_record.h -- who failed to log in of late, and how long his next attempt
// waits.
//
// One record for client addresses and one for user names is kept. Each failure doubles the wait,
// from kFirstWait up to kLongestWait, and counts for kMemory after the last. An attempt waits
// before its password is looked at: who does not wait learns nothing. Bounded: beyond `most` names
// the one whose last failure is longest ago is forgotten.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "lmtpd/base/ticket.h"

namespace lmtpd::lookup {

class FailureRecord {
 public:
  static constexpr std::chrono::milliseconds kFirstWait{250};
  static constexpr std::chrono::milliseconds kLongestWait{8000};
  static constexpr std::chrono::minutes kMemory{10};

  explicit FailureRecord(std::size_t most) : most_(most) {}

  [[nodiscard]] std::chrono::milliseconds wait(const std::string& name,
                                               Clock::time_point now) const;
  // Returns how many failures there are of this name now.
  std::uint64_t add(const std::string& name, Clock::time_point now);
  void forget(const std::string& name);
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string name;
    std::uint64_t failures;
    Clock::time_point last;
  };

  const std::size_t most_;
  std::list<Entry> entries_;  // by last failure, the latest first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> places_;  // of Entry::name
};

}  // namespace lmtpd::lookup
