#include "lookup/notice_farewell.h"

#include <utility>

namespace lmtpd::lookup {
namespace {

// One transaction, so one process. A stranger's channels are left alone.
constexpr const char* kUnlisten =
    "UNLISTEN lmtpd; UNLISTEN lmtpd_proof; SELECT pg_catalog.pg_backend_pid()";

}  // namespace

NoticeFarewell::NoticeFarewell(event_base* base, PgConnPtr connection, std::string process)
    : connection_(std::move(connection)),
      process_(std::move(process)),
      readable_(
          event_new(base, PQsocket(connection_.get()), EV_READ | EV_PERSIST, on_readable, this)),
      timer_(event_new(base, -1, 0, on_timeout, this)) {
  event_add(readable_.get(), nullptr);
  const timeval longest = to_timeval(kLongest);
  event_add(timer_.get(), &longest);
  say();
}

void NoticeFarewell::on_readable(evutil_socket_t, short, void* self) noexcept {
  static_cast<NoticeFarewell*>(self)->read();
}
void NoticeFarewell::on_timeout(evutil_socket_t, short, void* self) noexcept {
  static_cast<NoticeFarewell*>(self)->end();
}

void NoticeFarewell::say() {
  if (is_done_ || ++times_ > kMostTimes) return end();
  // So short a command goes out at once.
  if (PQsendQuery(connection_.get(), kUnlisten) != 1 || PQflush(connection_.get()) != 0) end();
}

void NoticeFarewell::read() {
  if (PQconsumeInput(connection_.get()) != 1) return end();
  while (PQisBusy(connection_.get()) == 0) {
    const PgResultPtr result(PQgetResult(connection_.get()));
    if (!result) return say();
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_TUPLES_OK) {
      is_done_ = PQntuples(result.get()) == 1 && PQgetvalue(result.get(), 0, 0) == process_;
    } else if (status != PGRES_COMMAND_OK) {
      return end();
    }
  }
}

void NoticeFarewell::end() {
  event_del(timer_.get());
  readable_.reset();
  connection_.reset();
}

}  // namespace lmtpd::lookup
