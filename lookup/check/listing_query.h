// lookup/check/listing_query.h -- from a table's query for one key to one for all of its rows.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lmtpd::lookup {

// Of `SELECT ... FROM ... WHERE COLUMN = '%s' ...`, which is what the legacy parameters come to:
// the query of all keys, which are its first column, each with what the table answers. nullopt: the
// query is of another form (another placeholder, UNION, LIMIT and the like, a function).
[[nodiscard]] std::optional<std::string> listing_query(std::string_view query);

}  // namespace lmtpd::lookup
