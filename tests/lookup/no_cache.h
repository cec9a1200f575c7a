// tests/lookup/no_cache.h -- a CacheControl of nothing.
#pragma once

#include "lookup/cache_control.h"

namespace lmtpd::lookup {

struct NoCache final : CacheControl {
  void forget_address(const Address&) override {}
  void forget_domain(std::string_view) override {}
  void forget_all() override {}
  [[nodiscard]] LookupStatistics statistics() const override { return {}; }
};

}  // namespace lmtpd::lookup
