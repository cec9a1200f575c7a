#include "lookup/notice_listener.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <utility>

#include "lmtpd/base/log.h"

namespace lmtpd::lookup {
namespace {

using std::chrono::milliseconds;

// One transaction, so one server process, which says its number.
constexpr const char* kListen =
    "LISTEN lmtpd; LISTEN lmtpd_proof; SELECT pg_catalog.pg_backend_pid()";
constexpr const char* kProofQuery = "SELECT pg_notify('lmtpd_proof', '%s')";
constexpr std::string_view kProofChannel = "lmtpd_proof";
// In one turn of the loop: each may name a few hundred keys.
constexpr int kMostNotices = 16;
constexpr milliseconds kFirstBackoff{500};
constexpr milliseconds kLongestBackoff{30'000};

// Only there LISTEN and NOTIFY are allowed. What a URI says of it stands.
std::vector<PgsqlHost> primaries(std::vector<PgsqlHost> hosts) {
  for (PgsqlHost& host : hosts) {
    const bool says = std::any_of(host.parameters.begin(), host.parameters.end(),
                                  [](auto& p) { return p.first == "target_session_attrs"; });
    if (!says) host.parameters.emplace_back("target_session_attrs", "primary");
  }
  return hosts;
}

// No other lmtpd at this database has the same.
std::string new_token() {
  std::array<unsigned char, 16> random{};
  randombytes_buf(random.data(), random.size());
  return fmt::format("{:02x}", fmt::join(random, ""));
}

}  // namespace

NoticeListener::NoticeListener(event_base* base, std::vector<PgsqlHost> hosts, milliseconds timeout,
                               PgsqlServer& prover, Owner& owner)
    : base_(base),
      prover_(prover),
      owner_(owner),
      dialer_(base, primaries(std::move(hosts)), timeout, *this),
      proof_query_(Template::parse(kProofQuery).value(), SqlDialect::postgresql),
      proof_statement_{&proof_query_, "notices", prover.next_statement()},
      wait_between_(kFirstBackoff, kLongestBackoff),
      timer_(event_new(base, -1, 0, on_timer, this)),
      more_(event_new(base, -1, 0, on_more, this)) {
  dialer_.start();
}

NoticeListener::~NoticeListener() { prover_.forget(proof_statement_); }

void NoticeListener::on_readable(evutil_socket_t, short, void* self) noexcept {
  static_cast<NoticeListener*>(self)->read();
}

void NoticeListener::on_timer(evutil_socket_t, short, void* self) noexcept {
  auto* listener = static_cast<NoticeListener*>(self);
  if (!listener->connection_) return listener->dialer_.start();
  if (listener->token_.empty()) return listener->send_proof();
  listener->lose(listener->why_no_proof_);
}

void NoticeListener::on_more(evutil_socket_t, short, void* self) noexcept {
  static_cast<NoticeListener*>(self)->take_notices();
}

void NoticeListener::on_connected(PgsqlConnected made) {
  connection_ = std::move(made.connection);
  host_ = std::move(made.host);
  is_pooled_ = made.is_pooled;
  PQsetnonblocking(connection_.get(), 1);
  readable_.reset(
      event_new(base_, PQsocket(connection_.get()), EV_READ | EV_PERSIST, on_readable, this));
  event_add(readable_.get(), nullptr);
  // So short a command goes out at once.
  if (PQsendQuery(connection_.get(), kListen) != 1 || PQflush(connection_.get()) != 0) {
    return lose(pgsql_message(PQerrorMessage(connection_.get())));
  }
  why_no_proof_ = "LISTEN was not answered";
  is_listening_ = false;
  process_.clear();
  token_ = new_token();  // until then that of a proof which never comes
  schedule(kProofInterval);
}

void NoticeListener::on_no_connection(std::string why) { lose(why); }

void NoticeListener::read() {
  if (evtimer_pending(more_.get(), nullptr) != 0) return;  // they come first
  if (PQconsumeInput(connection_.get()) != 1) {
    return lose(pgsql_message(PQerrorMessage(connection_.get())));
  }
  if (take_results()) take_notices();
}

// The owner may do much for one, but never ends the listener.
void NoticeListener::take_notices() {
  for (int taken = 0; taken < kMostNotices; ++taken) {
    const PgNotifyPtr notify(PQnotifies(connection_.get()));
    if (!notify) return;
    take(notify->relname, notify->extra);
  }
  const timeval at_once{};  // behind what else the loop has
  event_add(more_.get(), &at_once);
}

bool NoticeListener::take_results() {
  while (!is_listening_ && PQisBusy(connection_.get()) == 0) {
    const PgResultPtr result(PQgetResult(connection_.get()));
    if (!result) {
      is_listening_ = true;
      send_proof();
    } else if (PQresultStatus(result.get()) == PGRES_TUPLES_OK && PQntuples(result.get()) == 1) {
      process_ = PQgetvalue(result.get(), 0, 0);
    } else if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) {
      lose(pgsql_message(PQresultErrorMessage(result.get())));
      return false;
    }
  }
  return true;
}

void NoticeListener::take(std::string_view channel, std::string_view payload) {
  if (channel != kProofChannel) return owner_.on_notice(payload);
  if (payload != token_) return;  // an earlier one, or another daemon's
  token_.clear();
  failures_ = 0;
  schedule(kProofInterval);
  if (std::exchange(is_whole_, true)) return;
  said_lost_ = false;
  log_info("changed rows are noticed, by PostgreSQL at {}", host_);
  owner_.on_feed(true);
}

void NoticeListener::send_proof() {
  token_ = new_token();
  why_no_proof_ = fmt::format("a NOTIFY did not arrive within {} s (a pooler in between?)",
                              kProofInterval.count());
  schedule(kProofInterval);
  if (std::optional<std::string> refused =
          prover_.ask({&proof_statement_, this, token_, nullptr, 0})) {
    why_no_proof_ = std::move(*refused);
  }
}

void NoticeListener::on_values(const PgsqlQuery&, Result<std::vector<std::string>> values) {
  if (!values) why_no_proof_ = "NOTIFY failed: " + values.error().text;
}

void NoticeListener::schedule(milliseconds wait) {
  const timeval time = to_timeval(wait);
  event_add(timer_.get(), &time);
}

void NoticeListener::lose(const std::string& why) {
  event_del(more_.get());
  readable_.reset();
  if (is_listening_ && is_pooled_ && PQstatus(connection_.get()) == CONNECTION_OK) {
    farewell_ = std::make_unique<NoticeFarewell>(base_, std::move(connection_), process_);
  }
  connection_.reset();
  token_.clear();
  schedule(wait_between_.after(++failures_));
  if (!std::exchange(said_lost_, true)) {
    log_warning("changed rows are not noticed, they are seen after cache_ttl: {}", escaped(why));
  }
  if (std::exchange(is_whole_, false)) owner_.on_feed(false);
}

}  // namespace lmtpd::lookup
