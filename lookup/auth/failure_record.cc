#include "lookup/auth/failure_record.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

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

std::string client_network(std::string_view address) {
  std::string text(address);
  in6_addr v6{};
  if (::inet_pton(AF_INET6, text.c_str(), &v6) != 1) return text;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    std::array<char, INET_ADDRSTRLEN> v4{};
    ::inet_ntop(AF_INET, &v6.s6_addr[12], v4.data(), v4.size());
    return v4.data();
  }
  std::fill(std::begin(v6.s6_addr) + 8, std::end(v6.s6_addr), std::uint8_t{0});
  std::array<char, INET6_ADDRSTRLEN> network{};
  ::inet_ntop(AF_INET6, &v6, network.data(), network.size());
  return std::string(network.data()) + "/64";
}

}  // namespace lmtpd::lookup
