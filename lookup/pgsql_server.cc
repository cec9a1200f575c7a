#include "lookup/pgsql_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "lmtpd/base/log.h"

namespace lmtpd::lookup {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kFirstBackoff = 100ms;
constexpr auto kLongestBackoff = 2000ms;
// A connection that ends before, without an answer, counts as a round without success.
constexpr auto kProvenAfter = 5s;
// So long without a time-out, and the next one is the first of a row.
constexpr auto kTimeoutsApart = 60s;
constexpr auto kLogInterval = 60s;

std::string names(const std::vector<PgsqlHost>& hosts) {
  std::string text;
  for (const PgsqlHost& host : hosts) text += (text.empty() ? "" : ", ") + host.shown;
  return text;
}

}  // namespace

PgsqlServer::PgsqlServer(event_base* base, PgsqlLogin login, std::vector<PgsqlHost> hosts,
                         Options options)
    : login_(std::move(login)),
      shown_(names(hosts)),
      base_(base),
      options_(options),
      availability_(base, [] { return Clock::now(); }),
      dialer_(base, std::move(hosts), options.connect_timeout, *this),
      return_(base, dialer_.hosts(),
              {options.connect_timeout, options.query_timeout, options.retry_interval}, *this),
      wait_between_(kFirstBackoff, kLongestBackoff),
      turn_end_(event_new(base, -1, 0, on_turn_end, this)),
      wait_(event_new(base, -1, 0, on_wait_over, this)),
      backoff_(event_new(base, -1, 0, on_backoff_over, this)) {
  dial();
}

void PgsqlServer::on_turn_end(evutil_socket_t, short, void* self) noexcept {
  static_cast<PgsqlServer*>(self)->send_waiting();
}
void PgsqlServer::on_wait_over(evutil_socket_t, short, void* self) noexcept {
  static_cast<PgsqlServer*>(self)->drop_overdue();
}
void PgsqlServer::on_backoff_over(evutil_socket_t, short, void* self) noexcept {
  auto* server = static_cast<PgsqlServer*>(self);
  if (server->leftovers_.size() >= kMostLeftovers) return server->back_off();
  server->backing_off_ = false;
  server->dial();
}

std::optional<std::string> PgsqlServer::ask(PgsqlQuery query) {
  if (backing_off_) return last_failure_;
  const std::size_t most = options_.most_recipients * last_statement_ * kMostKeys;
  if (waiting_.size() + in_flight() >= most) {
    return fmt::format("{} lookups wait for the database already", most);
  }
  query.deadline = steady_clock::now() + options_.connect_timeout;
  query.question = availability_.on_asked();
  waiting_.push_back(std::move(query));
  if (pipeline_) {
    event_active(turn_end_.get(), EV_TIMEOUT, 1);
  } else {
    watch_waiting();
  }
  return std::nullopt;
}

void PgsqlServer::send_waiting() {
  if (!pipeline_ || waiting_.empty() || in_flight() >= kMostInFlight) return;
  const auto begin = waiting_.begin();
  const auto end =
      begin + static_cast<std::ptrdiff_t>(std::min(waiting_.size(), kMostInFlight - in_flight()));
  std::vector<PgsqlQuery> queries(std::make_move_iterator(begin), std::make_move_iterator(end));
  waiting_.erase(begin, end);
  for (const PgsqlQuery& query : queries) availability_.on_sent(query.question);
  statistics_.queries += queries.size();
  ++statistics_.bursts;
  pipeline_->send(std::move(queries));
}

void PgsqlServer::watch_waiting() {
  if (waiting_.empty() || evtimer_pending(wait_.get(), nullptr) != 0) return;
  const auto earliest = std::min_element(
      waiting_.begin(), waiting_.end(),
      [](const PgsqlQuery& a, const PgsqlQuery& b) { return a.deadline < b.deadline; });
  const timeval wait = to_timeval(earliest->deadline - steady_clock::now());
  event_add(wait_.get(), &wait);
}

void PgsqlServer::drop_overdue() {
  if (pipeline_) return;
  const auto now = steady_clock::now();
  std::deque<PgsqlQuery> dropped;
  for (PgsqlQuery& query : std::exchange(waiting_, {})) {
    (query.deadline > now ? waiting_ : dropped).push_back(std::move(query));
  }
  watch_waiting();
  refuse(dropped, fmt::format("no connection to {} within {} s", shown_,
                              std::chrono::duration<double>(options_.connect_timeout).count()));
}

void PgsqlServer::on_connected(PgsqlConnected made) {
  if (failed_rounds_ > 0 || statistics_.connections == 0 || made.place != place_) {
    log_info("connected to PostgreSQL at {}{}", made.host,
             made.is_pooled ? ", through a pooler: no statement is prepared" : "");
  }
  // From a host further down the list.
  if (pipeline_) wait_again(pipeline_->take_unanswered());
  place_ = made.place;
  connected_at_ = steady_clock::now();
  next_log_ = {};
  PgsqlPipeline::Owner& owner = *this;
  pipeline_ = std::make_unique<PgsqlPipeline>(
      base_, std::move(made.connection), ++statistics_.connections,
      options_.may_prepare && !made.is_pooled, options_.query_timeout, owner);
  return_.watch(place_);
  availability_.on_connected();
  send_waiting();
}

void PgsqlServer::on_earlier_host(PgsqlConnected made) {
  first_ = made.place;
  on_connected(std::move(made));
}

void PgsqlServer::on_no_connection(std::string why) {
  last_failure_ = std::move(why);
  ++failed_rounds_;
  log_failure("no connection");
  dial_or_back_off();
}

void PgsqlServer::on_values(PgsqlQuery query, Result<std::vector<std::string>> values) {
  failed_rounds_ = 0;
  if (!waiting_.empty() && in_flight() <= kMostInFlight / 2) {
    event_active(turn_end_.get(), EV_TIMEOUT, 1);
  }
  availability_.on_answer(std::exchange(query.question, {}));
  query.receiver->on_values(query, std::move(values));
}

void PgsqlServer::on_send_again(PgsqlQuery query) {
  waiting_.push_front(std::move(query));
  event_active(turn_end_.get(), EV_TIMEOUT, 1);
}

void PgsqlServer::on_lost(std::vector<PgsqlQuery> unanswered, std::string why, bool timed_out) {
  const bool proven =
      pipeline_->has_answered() || steady_clock::now() - connected_at_ >= kProvenAfter;
  return_.stop();
  if (timed_out) {
    timeouts_ = timeouts_in_a_row() + 1;
    timed_out_at_ = steady_clock::now();
    leave_behind();
    turn_to_next_host(unanswered);
  }
  pipeline_.reset();
  last_failure_ = std::move(why);
  failed_rounds_ = proven ? 0 : failed_rounds_ + 1;
  if (proven && !timed_out) {
    log_info("connection to PostgreSQL at {} lost: {}", shown_, last_failure_);
  } else {
    log_failure("connection given up");
  }
  std::vector<PgsqlQuery> again;
  std::deque<PgsqlQuery> given_up;
  for (PgsqlQuery& query : unanswered) {
    if (timed_out || query.times_sent > 1) {
      given_up.push_back(std::move(query));
    } else {
      again.push_back(std::move(query));
    }
  }
  wait_again(std::move(again));
  const std::string text = last_failure_;
  if (timed_out && timeouts_ > 1) {
    back_off();
  } else {
    dial_or_back_off();
  }
  refuse(given_up, text);
}

void PgsqlServer::wait_again(std::vector<PgsqlQuery> queries) {
  waiting_.insert(waiting_.begin(), std::make_move_iterator(queries.begin()),
                  std::make_move_iterator(queries.end()));
  const auto deadline = steady_clock::now() + options_.connect_timeout;
  for (PgsqlQuery& query : waiting_) query.deadline = deadline;
}

int PgsqlServer::timeouts_in_a_row() const {
  const bool is_old = steady_clock::now() - timed_out_at_ > options_.query_timeout + kTimeoutsApart;
  return is_old ? 0 : timeouts_;
}

void PgsqlServer::leave_behind() {
  const std::size_t syncs = pipeline_->unanswered_syncs();
  PgsqlLeftover::Owner& owner = *this;
  leftovers_.push_back(
      std::make_unique<PgsqlLeftover>(base_, pipeline_->take_connection(), syncs, owner));
}

void PgsqlServer::on_over(PgsqlLeftover& leftover) {
  std::erase_if(leftovers_, [&](auto& one) { return one.get() == &leftover; });
}

void PgsqlServer::turn_to_next_host(const std::vector<PgsqlQuery>& unanswered) {
  first_ = (place_ + 1) % hosts().size();
  if (first_ == 0) return return_.need_not_answer();
  // A proof of notices has no asker, and is no measure: a standby refuses it.
  const auto lookup = std::find_if(unanswered.begin(), unanswered.end(),
                                   [](const PgsqlQuery& query) { return query.asker != nullptr; });
  if (lookup != unanswered.end()) return_.must_answer(*lookup);
}

void PgsqlServer::dial() { dialer_.start(first_); }

// Starts the next round, or waits first where the last ones went wrong.
void PgsqlServer::dial_or_back_off() {
  if (failed_rounds_ > 0 || leftovers_.size() >= kMostLeftovers) return back_off();
  dial();
  watch_waiting();
}

// Nothing waits until it is over.
void PgsqlServer::back_off() {
  backing_off_ = true;
  availability_.on_failure();
  dialer_.stop();
  const int failures = std::max({failed_rounds_, timeouts_in_a_row() - 1, 1});
  const timeval wait = to_timeval(wait_between_.after(failures));
  event_add(backoff_.get(), &wait);
  event_del(wait_.get());
  const std::string text = last_failure_;
  refuse(std::exchange(waiting_, {}), text);
}

void PgsqlServer::log_failure(const std::string& what) {
  const auto now = steady_clock::now();
  if (now < next_log_) return;
  next_log_ = now + kLogInterval;
  log_warning("PostgreSQL at {}: {}: {}", shown_, what, last_failure_);
}

// Receivers may ask again at once.
void PgsqlServer::refuse(const std::deque<PgsqlQuery>& queries, const std::string& why) {
  if (!queries.empty()) availability_.on_failure();
  for (const PgsqlQuery& query : queries) {
    query.receiver->on_values(query, fail(Reason::lookup_failed, why));
  }
}

void PgsqlServer::forget(const PgsqlStatement& statement) {
  std::erase_if(waiting_, [&](const PgsqlQuery& q) { return q.statement == &statement; });
  if (pipeline_) pipeline_->forget(statement);
  return_.forget(statement);
}

}  // namespace lmtpd::lookup
