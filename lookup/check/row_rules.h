// lookup/check/row_rules.h -- what is wrong with a row, seen by itself.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lookup/check/row_listing.h"

namespace lmtpd::lookup {

enum class TableRole { alias, mailbox, uid, gid, transport };

// Why lmtpd, and Postfix, never ask for that key; empty: they may.
[[nodiscard]] std::string key_fault(std::string_view key);

// What the row does that its administrator will not want, one sentence each.
[[nodiscard]] std::vector<std::string> row_faults(TableRole role, const Row& row);

}  // namespace lmtpd::lookup
