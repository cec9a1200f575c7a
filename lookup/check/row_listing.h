// lookup/check/row_listing.h -- all rows of a table in a database, one after the other.
//
// For a tool that is run now and then: it blocks, on a connection of its own.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lmtpd/base/config/table_ref.h"
#include "lmtpd/base/result.h"
#include "lookup/files/file_reader.h"

namespace lmtpd::lookup {

struct Row {
  std::string key;
  std::vector<std::optional<std::string>> values;  // nullopt: NULL; result_format is not applied
};

enum class Listed {
  yes,
  no_database,     // a table of another kind
  not_understood,  // a query of which no listing can be made
};

// Fails with lookup_failed where the file is wrong, or the database cannot be reached or fails;
// no value of a row is in what it says.
[[nodiscard]] Result<Listed> list_rows(const TableRef& table, const FileReader& read_file,
                                       std::chrono::milliseconds connect_timeout,
                                       const std::function<void(Row)>& take);

}  // namespace lmtpd::lookup
