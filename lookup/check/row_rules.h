// lookup/check/row_rules.h -- what is to be said of a row, seen by itself.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/address.h"
#include "lookup/check/row_listing.h"

namespace lmtpd::lookup {

enum class TableRole { alias, mailbox, uid, gid, domain, transport, password };

struct Finding {
  std::string what;      // follows the key: "has a NULL ..."
  bool is_note = false;  // right at some sites: no fault
};

// Whose mail finds the row of that key, which has a local part: its local part may be in its
// internal form, without quotes. nullopt: nobody's.
[[nodiscard]] std::optional<Address> address_of_key(std::string_view key);

// Why lmtpd, and Postfix, never ask such a table for that key; empty: they may.
[[nodiscard]] std::string key_fault(TableRole role, std::string_view key);

// What the row does that its administrator may not want, one sentence each.
[[nodiscard]] std::vector<Finding> row_findings(TableRole role, const Row& row);

}  // namespace lmtpd::lookup
