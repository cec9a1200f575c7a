#include "lookup/pgsql_leftover.h"

#include <sys/socket.h>

#include <array>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

namespace lmtpd::lookup {
namespace {

constexpr std::chrono::seconds kTick{1};

struct CancelDeleter {
  void operator()(PGcancel* cancel) const { PQfreeCancel(cancel); }
};

}  // namespace

PgsqlLeftover::PgsqlLeftover(event_base* base, PgConnPtr connection, std::size_t syncs,
                             Owner& owner)
    : base_(base),
      owner_(owner),
      connection_(std::move(connection)),
      end_(std::chrono::steady_clock::now() + kLongestLife),
      syncs_(syncs),
      readable_(
          event_new(base, PQsocket(connection_.get()), EV_READ | EV_PERSIST, on_readable, this)),
      tick_(event_new(base, -1, EV_PERSIST, on_tick, this)) {
  event_add(readable_.get(), nullptr);
  const timeval interval = to_timeval(kTick);
  event_add(tick_.get(), &interval);
  cancel();
}

void PgsqlLeftover::on_readable(evutil_socket_t, short, void* self) noexcept {
  static_cast<PgsqlLeftover*>(self)->read();
}
void PgsqlLeftover::on_cancelled(evutil_socket_t, short, void* self) noexcept {
  static_cast<PgsqlLeftover*>(self)->cancelled();
}
void PgsqlLeftover::on_tick(evutil_socket_t, short, void* self) noexcept {
  static_cast<PgsqlLeftover*>(self)->tick();
}

void PgsqlLeftover::read() {
  PGconn* connection = connection_.get();
  bool ended = PQconsumeInput(connection) == 0;
  int nulls = 0;  // two in a row: libpq expects nothing more
  while (!ended && syncs_ > 0 && nulls < 2 && PQisBusy(connection) == 0) {
    const PgResultPtr result(PQgetResult(connection));
    nulls = result ? 0 : nulls + 1;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_PIPELINE_SYNC) --syncs_;
    // libpq gives the same result again until the data is read.
    ended = status == PGRES_COPY_OUT || status == PGRES_COPY_IN || status == PGRES_COPY_BOTH;
  }
  if (ended || syncs_ == 0 || nulls == 2 || PQstatus(connection) == CONNECTION_BAD) {
    return owner_.on_over(*this);
  }
  PQflush(connection);
  if (syncs_ < syncs_at_cancel_) cancel();
}

// Of whatever the server process is at: all of it is ours, and nobody waits for it.
void PgsqlLeftover::cancel() {
  if (cancelling_) return;
  std::unique_ptr<PGcancel, CancelDeleter> request(PQgetCancel(connection_.get()));
  std::array<int, 2> ends{-1, -1};
  if (!request || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return;
  cancelling_.reset(ends[0]);
  UniqueFd theirs(ends[1]);
  syncs_at_cancel_ = syncs_;
  try {
    // It owns all it touches, and may outlive the leftover: connecting takes as long as it takes.
    std::thread([wanted = std::move(request), until = std::move(theirs)] {
      std::array<char, 256> why{};
      PQcancel(wanted.get(), why.data(), static_cast<int>(why.size()));
    }).detach();
  } catch (const std::system_error&) {
    // No thread to be had. Its end is closed, so on_cancelled() comes all the same.
    syncs_at_cancel_ = 0;
  }
  cancelled_.reset(event_new(base_, cancelling_.get(), EV_READ, on_cancelled, this));
  event_add(cancelled_.get(), nullptr);
}

void PgsqlLeftover::cancelled() {
  cancelled_.reset();
  cancelling_.reset();
  if (syncs_ < syncs_at_cancel_) cancel();
}

// A cancel that comes between two statements is lost.
void PgsqlLeftover::tick() {
  if (std::chrono::steady_clock::now() >= end_) return owner_.on_over(*this);
  PQflush(connection_.get());
  cancel();
}

}  // namespace lmtpd::lookup
