#include "lookup/pgsql_dialer.h"

#include <fmt/format.h>

#include <algorithm>

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

void PgsqlDialer::start() {
  host_ = 0;
  failures_.clear();
  event_active(begin_.get(), EV_TIMEOUT, 1);
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
  if (host_ == hosts_.size()) return owner_.on_no_connection(std::move(failures_));
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
  // libpq may close the socket and open another.
  ready_.reset();
  switch (PQconnectPoll(connection_.get())) {
    case PGRES_POLLING_READING:
      return wait_for(EV_READ);
    case PGRES_POLLING_WRITING:
      return wait_for(EV_WRITE);
    case PGRES_POLLING_OK:
      event_del(timer_.get());
      return owner_.on_connected(std::move(connection_), host().shown);
    default:
      return address_failed(pgsql_message(PQerrorMessage(connection_.get())));
  }
}

void PgsqlDialer::wait_for(short what) {
  ready_.reset(event_new(base_, PQsocket(connection_.get()), what, on_ready, this));
  event_add(ready_.get(), nullptr);
}

void PgsqlDialer::timed_out() {
  const auto seconds = std::chrono::duration<double>(timeout_).count();
  if (name_lookup_) {
    name_lookup_.reset();
    addresses_ = {""};
    return address_failed(fmt::format("{}: not resolved within {} s", host().shown, seconds));
  }
  const std::string& address = addresses_[address_];
  address_failed(fmt::format("{}{}{}: no connection within {} s", host().shown,
                             address.empty() ? "" : " at ", address, seconds));
}

void PgsqlDialer::address_failed(const std::string& why) {
  event_del(timer_.get());
  ready_.reset();
  connection_.reset();
  if (!failures_.empty()) failures_ += "; ";
  failures_ += why;
  if (++address_ < addresses_.size()) return try_address();
  ++host_;
  try_host();
}

}  // namespace lmtpd::lookup
