// lookup/check/database_check.h -- finds the rows of a site's tables that can never match or will
// misbehave.
//
// Lists every row of the databases, looks at each by itself, resolves each address as mail for it
// would be, and asks for each user's stored password as his login would, of which nothing is
// reported (password_check.h). Runs an event loop and blocks; keeps an entry of memory for each
// key.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/result.h"
#include "lookup/files/file_reader.h"

namespace lmtpd::lookup {

struct CheckSummary {
  std::uint64_t rows = 0;
  std::uint64_t faults = 0;
  std::uint64_t notes = 0;
  // Tables in a database whose rows cannot be listed.
  std::vector<std::string> unlisted{};
};

// `report` is given a line for each fault, "TABLE: <KEY> WHAT", and for each note, which is of what
// is right at some sites: "TABLE: <KEY> note: WHAT", or of many keys "TABLE: note: WHAT" or
// "PARAMETER: note: WHAT". Fails with lookup_failed where a file is wrong or a database cannot be
// reached or fails.
[[nodiscard]] Result<CheckSummary> check_databases(
    const Settings& settings, const FileReader& read_file,
    const std::function<void(const std::string& line)>& report);

}  // namespace lmtpd::lookup
