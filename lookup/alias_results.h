// lookup/alias_results.h -- the addresses that an alias table's answer stands for.
#pragma once

#include <vector>

#include "lmtpd/base/result.h"
#include "lookup/address_keys.h"
#include "lookup/resolver_settings.h"
#include "lookup/table_search.h"

namespace lmtpd::lookup {

// `found` is what find_alias() found for `address`. One address at least; an extension that the key
// left out is put on each, and "@otherdomain" is the same user there
// (virtual(5)).
// Fails with lookup_failed where the answer holds no address, or one with a control character.
[[nodiscard]] Result<std::vector<PlainAddress>> alias_results(const PlainAddress& address,
                                                              const Search& found,
                                                              const ResolverSettings& settings);

}  // namespace lmtpd::lookup
