// lookup/expansion.h -- from an address to the addresses that its aliases lead to (virtual(5)).
//
// As cleanup(8) walks virtual_alias_maps, with alias_expansion's choice of where a mailbox ends the
// walk. What Postfix would go round in until it meets a limit fails at the first round.
#pragma once

#include <optional>
#include <vector>

#include "lmtpd/base/result.h"
#include "lookup/address_keys.h"
#include "lookup/resolver_settings.h"
#include "lookup/table_search.h"

namespace lmtpd::lookup {

// nullopt: answers are missing. At least one address; it may be `address` itself, and the same one
// may come more than once. Fails with lookup_failed or alias_limit.
[[nodiscard]] std::optional<Result<std::vector<PlainAddress>>> expand_aliases(
    const PlainAddress& address, const ResolverSettings& settings, TableSearch& search);

}  // namespace lmtpd::lookup
