// lmtpd/ctl/check_db.h -- lmtpctl check-db: in this process, without the daemon.
//
// A listing of all rows would hold up the daemon's lookups, and root can read the tables' files
// itself.
#pragma once

#include <string>

namespace lmtpd::ctl {

// Prints a line for each fault. The exit status: 0 none, 1 some, 69 (EX_UNAVAILABLE) a database
// cannot be asked, 78 (EX_CONFIG) `file` is no valid configuration.
[[nodiscard]] int check_db(const std::string& file);

}  // namespace lmtpd::ctl
