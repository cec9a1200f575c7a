// lookup/pgsql_handles.h -- owners of libpq's handles, and its messages made fit for one log line.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <string_view>

namespace lmtpd::lookup {

struct PgConnDeleter {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct PgResultDeleter {
  void operator()(PGresult* result) const { PQclear(result); }
};
struct PgNotifyDeleter {
  void operator()(PGnotify* notify) const { PQfreemem(notify); }
};
using PgConnPtr = std::unique_ptr<PGconn, PgConnDeleter>;
using PgResultPtr = std::unique_ptr<PGresult, PgResultDeleter>;
using PgNotifyPtr = std::unique_ptr<PGnotify, PgNotifyDeleter>;

// Without libpq's hints, lines joined by "; ", control characters replaced, cut to 300 octets.
[[nodiscard]] std::string pgsql_message(std::string_view text);

}  // namespace lmtpd::lookup
