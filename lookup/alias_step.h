// lookup/alias_step.h -- what the alias tables make of one address.
#pragma once

#include <string>
#include <vector>

#include "lookup/address_keys.h"
#include "lookup/resolver_settings.h"
#include "lookup/table_search.h"

namespace lmtpd::lookup {

struct AliasStep {
  // Found: it is replaced by the results. Absent: it stays as it is, having a mailbox that comes
  // first (alias_expansion) or no alias. Failed: `why`.
  Search::Outcome outcome = Search::Outcome::absent;
  std::vector<PlainAddress> results;
  std::string row;  // found: the row's key
  std::string why;
};

// Where an answer is missing, all that the step may need has been asked for.
[[nodiscard]] AliasStep take_alias_step(const PlainAddress& address,
                                        const ResolverSettings& settings, TableSearch& search);

}  // namespace lmtpd::lookup
