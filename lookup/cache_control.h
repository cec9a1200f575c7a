// lookup/cache_control.h -- what an administrator may see of the cache, and do to it.
#pragma once

#include <cstdint>
#include <string_view>

#include "lmtpd/base/address.h"

namespace lmtpd::lookup {

// Counted since the role started, but for the two that say how much there is now.
struct LookupStatistics {
  std::uint64_t cache_entries = 0;
  std::uint64_t cache_octets = 0;
  std::uint64_t cache_hits = 0;
  std::uint64_t cache_misses = 0;
  std::uint64_t cache_stale_hits = 0;
  std::uint64_t cache_driven_out = 0;
  std::uint64_t cache_flushes = 0;
  std::uint64_t notices = 0;
  std::uint64_t notices_arrive = 0;  // 1: they are known to
  std::uint64_t database_connections = 0;
  std::uint64_t database_queries = 0;
  std::uint64_t database_bursts = 0;    // times that queries were sent, some together
  std::uint64_t database_failures = 0;  // lookups for which no table could be asked
};

class CacheControl {
 public:
  // Every key that the address may be found by at first: its own, without extension, of its domain.
  virtual void forget_address(const Address& address) = 0;
  virtual void forget_domain(std::string_view domain) = 0;
  virtual void forget_all() = 0;
  [[nodiscard]] virtual LookupStatistics statistics() const = 0;

 protected:
  ~CacheControl() = default;
};

}  // namespace lmtpd::lookup
