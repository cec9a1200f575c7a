#include "lookup/pgsql_dialer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lmtpd/base/log.h"

namespace lmtpd::lookup {

std::string pgsql_message(std::string_view text) {
  std::string joined;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    // Hints are indented; "invalid socket" is libpq's own stumble after the end.
    if (line.empty() || line.front() == '\t' || line == "invalid socket") continue;
    if (!joined.empty()) joined += "; ";
    joined += line;
  }
  return escaped(joined, 300);
}

PgsqlDialer::PgsqlDialer(event_base* base, std::vector<PgsqlHost> hosts,
                         std::chrono::milliseconds timeout, Owner& owner)
    : base_(base),
      hosts_(std::move(hosts)),
      timeout_(timeout),
      owner_(owner),
      begin_(event_new(base, -1, 0, on_begin, this)),
      timer_(event_new(base, -1, 0, on_timeout, this)) {}

void PgsqlDialer::start(std::size_t first, std::size_t count) {
  host_ = first;
  left_ = std::min(count, hosts_.size());
  failures_.clear();
  stop();
  event_active(begin_.get(), EV_TIMEOUT, 1);
}

void PgsqlDialer::stop() {
  event_del(begin_.get());
  event_del(timer_.get());
  name_lookup_.reset();
  ready_.reset();
  connection_.reset();
  asked_ = false;
  is_pooled_.reset();
  refusal_.clear();
}

void PgsqlDialer::on_begin(evutil_socket_t, short, void* self) noexcept {
  static_cast<PgsqlDialer*>(self)->try_host();
}
void PgsqlDialer::on_ready(evutil_socket_t, short, void* self) noexcept {
  static_cast<PgsqlDialer*>(self)->poll();
}
void PgsqlDialer::on_timeout(evutil_socket_t, short, void* self) noexcept {
  static_cast<PgsqlDialer*>(self)->timed_out();
}

void PgsqlDialer::try_host() {
  if (left_ == 0) return owner_.on_no_connection(std::move(failures_));
  address_ = 0;
  if (host().name.empty()) {
    addresses_ = {""};
    return try_address();
  }
  const timeval wait = to_timeval(timeout_);
  event_add(timer_.get(), &wait);
  NameLookup::Owner& owner = *this;
  name_lookup_ = std::make_unique<NameLookup>(base_, host().name, owner);
}

void PgsqlDialer::on_addresses(Result<std::vector<std::string>> addresses) {
  name_lookup_.reset();
  if (!addresses) {
    addresses_ = {""};
    return address_failed(addresses.error().text);
  }
  addresses_ = *std::move(addresses);
  try_address();
}

void PgsqlDialer::try_address() {
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  const auto add = [&](const char* keyword, const char* value) {
    keywords.push_back(keyword);
    values.push_back(value);
  };
  for (const auto& [keyword, value] : host().parameters) add(keyword.c_str(), value.c_str());
  if (!addresses_[address_].empty()) add("hostaddr", addresses_[address_].c_str());
  add(nullptr, nullptr);

  const timeval wait = to_timeval(timeout_);
  event_add(timer_.get(), &wait);
  connection_.reset(PQconnectStartParams(keywords.data(), values.data(), 0));
  if (!connection_) return address_failed("out of memory");
  if (PQstatus(connection_.get()) == CONNECTION_BAD) {
    return address_failed(pgsql_message(PQerrorMessage(connection_.get())));
  }
  // What a server or the library has to say beside the answers is nobody's business here.
  PQsetNoticeReceiver(connection_.get(), [](void*, const PGresult*) {}, nullptr);
  wait_for(EV_WRITE);
}

void PgsqlDialer::poll() {
  if (asked_) return take_answer();
  // libpq may close the socket and open another.
  ready_.reset();
  switch (PQconnectPoll(connection_.get())) {
    case PGRES_POLLING_READING:
      return wait_for(EV_READ);
    case PGRES_POLLING_WRITING:
      return wait_for(EV_WRITE);
    case PGRES_POLLING_OK:
      return ask();
    default:
      return address_failed(pgsql_message(PQerrorMessage(connection_.get())));
  }
}

void PgsqlDialer::ask() {
  asked_ = true;
  if (PQsendQuery(connection_.get(), "SELECT pg_catalog.pg_backend_pid()") != 1) {
    return address_failed(pgsql_message(PQerrorMessage(connection_.get())));
  }
  wait_for(EV_READ);
}

void PgsqlDialer::take_answer() {
  PGconn* connection = connection_.get();
  const bool ended = PQconsumeInput(connection) == 0;
  while (PQisBusy(connection) == 0) {
    const PgResultPtr result(PQgetResult(connection));
    if (!result) break;
    if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) {
      refusal_ = pgsql_message(PQresultErrorMessage(result.get()));
    } else if (PQntuples(result.get()) == 1) {
      is_pooled_ = PQgetvalue(result.get(), 0, 0) != std::to_string(PQbackendPID(connection));
    }
  }
  if (PQtransactionStatus(connection) == PQTRANS_IDLE && is_pooled_) {
    event_del(timer_.get());
    ready_.reset();
    asked_ = false;
    return owner_.on_connected(
        {std::move(connection_), host().shown, host_, *std::exchange(is_pooled_, std::nullopt)});
  }
  if (!ended && PQstatus(connection) == CONNECTION_OK && refusal_.empty()) return wait_for(EV_READ);
  address_failed(refusal_.empty() ? pgsql_message(PQerrorMessage(connection)) : refusal_);
}

void PgsqlDialer::wait_for(short what) {
  ready_.reset(event_new(base_, PQsocket(connection_.get()), what, on_ready, this));
  event_add(ready_.get(), nullptr);
}

void PgsqlDialer::timed_out() {
  const auto seconds = std::chrono::duration<double>(timeout_).count();
  if (name_lookup_) {
    addresses_ = {""};
    return address_failed(fmt::format("{}: not resolved within {} s", host().shown, seconds));
  }
  const std::string& address = addresses_[address_];
  address_failed(fmt::format("{}{}{}: no {} within {} s", host().shown,
                             address.empty() ? "" : " at ", address,
                             asked_ ? "answer" : "connection", seconds));
}

void PgsqlDialer::address_failed(const std::string& why) {
  stop();
  if (!failures_.empty()) failures_ += "; ";
  failures_ += why;
  if (++address_ < addresses_.size()) return try_address();
  host_ = (host_ + 1) % hosts_.size();
  --left_;
  try_host();
}

}  // namespace lmtpd::lookup
