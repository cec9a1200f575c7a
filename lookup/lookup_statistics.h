// lookup/lookup_statistics.h -- what the lookup role has counted since it started, for lmtpctl
// status.
#pragma once

#include <cstdint>

namespace lmtpd::lookup {

struct LookupStatistics {
  std::uint64_t cache_entries = 0;
  std::uint64_t cache_octets = 0;
  std::uint64_t cache_hits = 0;
  std::uint64_t cache_misses = 0;
  std::uint64_t cache_stale_hits = 0;
  std::uint64_t cache_driven_out = 0;
  std::uint64_t cache_flushes = 0;
  std::uint64_t notices = 0;
  bool notices_arrive = false;
  std::uint64_t database_connections = 0;  // made since the start
  std::uint64_t database_queries = 0;
  std::uint64_t database_bursts = 0;  // times that some queries were sent together
};

}  // namespace lmtpd::lookup
