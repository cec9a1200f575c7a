// lookup/look_ahead.h -- asks for what later lines of an expansion will need, while an earlier one
// waits, so that it goes out on the same round trip.
//
// What it comes to counts for nothing: the expansion finds it again when it is the line's turn.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_set>
#include <vector>

#include "lookup/address_keys.h"
#include "lookup/resolver_settings.h"
#include "lookup/table_search.h"

namespace lmtpd::lookup {

class LookAhead {
 public:
  // The settings outlive it.
  explicit LookAhead(const ResolverSettings& settings) : settings_(&settings) {}

  void add(PlainAddress address);
  // From where it has come to, as far as answers are known.
  void go_on(TableSearch search);

 private:
  // What is beyond is asked for in its turn: one recipient must not fill a database's queue.
  static constexpr std::size_t kMostAddresses = 1000;

  const ResolverSettings* settings_;
  std::vector<PlainAddress> open_;
  std::unordered_set<std::string> seen_;  // folded
};

}  // namespace lmtpd::lookup
