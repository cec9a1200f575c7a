// lookup/pgsql_hosts.h -- the `hosts` parameter of pgsql_table(5), and what libpq is told for each.
//
// Entries in the order written: [inet:]HOST[:PORT], [unix:]/DIRECTORY[:PORT], or a libpq URI
// (postgresql://, postgres://), which brings its own user, password and database. An IPv6 address
// may stand in brackets. The list divides at every comma, so a URI writes its own as %2C
// (?host=a%2Cb). A URI with several hosts, or addresses, counts as several entries; each must
// satisfy its target_session_attrs, so prefer-standby takes the first that answers.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lmtpd/base/result.h"
#include "lookup/files/table_file.h"

namespace lmtpd::lookup {

// What the connections of two tables must have in common to be one.
struct PgsqlLogin {
  std::string hosts;
  std::string user;
  std::string password;
  std::string dbname;
  std::string encoding;
  bool operator==(const PgsqlLogin&) const = default;
};

struct PgsqlHost {
  // Keywords of PQconnectStartParams(); hostaddr where a URI has it.
  std::vector<std::pair<std::string, std::string>> parameters;
  // The name that must be resolved first; empty for sockets, addresses, and URIs with a hostaddr.
  std::string name;
  // For messages; never holds a password.
  std::string shown;
};

[[nodiscard]] PgsqlLogin pgsql_login(const TableFile& file);

// Fails with lookup_failed on an empty list, a bad port or URI, and where a host that is no URI has
// no dbname. The text never repeats a URI: it may hold a password.
[[nodiscard]] Result<std::vector<PgsqlHost>> parse_pgsql_hosts(const PgsqlLogin& login);

}  // namespace lmtpd::lookup
