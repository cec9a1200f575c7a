// lookup/inline_table.h -- inline:{ key = value, { key = value with blanks } } (DATABASE_README).
//
// Pairs are separated by commas or white space; one in braces of its own may hold both. The last of
// several equal keys wins.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "lmtpd/base/result.h"
#include "lookup/configured_table.h"

namespace lmtpd::lookup {

// `pairs` is what stands behind `inline:`, with the outer braces. Fails with lookup_failed on other
// syntax, an empty key, value or table, or what is no UTF-8.
[[nodiscard]] Result<std::unique_ptr<ConfiguredTable>> make_inline_table(std::string name,
                                                                         std::string_view pairs);

}  // namespace lmtpd::lookup
