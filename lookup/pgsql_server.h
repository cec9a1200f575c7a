// lookup/pgsql_server.h -- what all tables with one PgsqlLogin share: a connection, and the lookups
// that use it or wait for it.
//
// The first host in the list that takes the connection has it; if that is not the first, those
// before it are tried again every minute (PgsqlReturn).
//
// Lookups of one turn of the loop leave together. A connection that is lost is dialled again at
// once, and after a round without success with a back-off (100 ms to 2 s, random in its upper
// half). A lookup that comes while no connection is up waits for the round under way, at most
// db_connect_timeout; during the back-off it fails at once. One whose connection breaks is sent
// once more on the next.
//
// One that has no answer after db_query_timeout ends the connection, and all that wait on it fail;
// from the second such connection in a row on there is a back-off, whatever else they answered. The
// server is told to cancel what it was at (PgsqlLeftover); while it has not done so on
// kMostLeftovers connections, no further one is made. The next host in the list is then the first
// to be tried, and stays so until an earlier one has answered what had no answer, or the last one
// has none either: what none answers speaks against no host.
//
// So many are on the way at a time, and the others wait until half of them are answered: a database
// that keeps up has not to answer all within one db_query_timeout. What its tables may be asked by
// all recipients that frontends may have under way at a time finds room; beyond that lookups fail
// at once. A lookup takes a few hundred octets, so that is up to some 10 MiB a table and frontend.
//
// What it has seen of the database, all who ask through it may know (availability()).
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lookup/availability.h"
#include "lookup/backoff.h"
#include "lookup/pgsql_dialer.h"
#include "lookup/pgsql_leftover.h"
#include "lookup/pgsql_pipeline.h"
#include "lookup/pgsql_return.h"

namespace lmtpd::lookup {

class PgsqlServer final : private PgsqlDialer::Owner,
                          private PgsqlPipeline::Owner,
                          private PgsqlLeftover::Owner,
                          private PgsqlReturn::Owner {
 public:
  static constexpr std::size_t kMostLeftovers = 2;
  static constexpr std::size_t kMostInFlight = 5000;
  // Of a table, for a recipient, in both forms. Most need two or three: that leaves room for
  // aliases' targets, and for who is no recipient (AUTH, socketmap, what is asked anew in time).
  static constexpr std::size_t kMostKeys = 10;

  struct Statistics {
    std::uint64_t connections = 0;
    std::uint64_t queries = 0;  // sent, those sent again included
    std::uint64_t bursts = 0;   // times that some were sent
  };

  struct Options {
    std::chrono::milliseconds connect_timeout;
    std::chrono::milliseconds query_timeout;
    bool may_prepare;
    std::chrono::milliseconds retry_interval;  // of the hosts before the one in use
    std::size_t most_recipients;               // of all frontends, under way at a time
  };

  // Dials once the loop runs. `hosts` is parse_pgsql_hosts(login).
  PgsqlServer(event_base* base, PgsqlLogin login, std::vector<PgsqlHost> hosts, Options options);
  PgsqlServer(const PgsqlServer&) = delete;
  PgsqlServer& operator=(const PgsqlServer&) = delete;

  [[nodiscard]] const PgsqlLogin& login() const { return login_; }
  [[nodiscard]] const std::vector<PgsqlHost>& hosts() const { return dialer_.hosts(); }
  [[nodiscard]] const Statistics& statistics() const { return statistics_; }
  [[nodiscard]] Availability& availability() { return availability_; }
  // A name for a statement among this server's.
  [[nodiscard]] std::uint64_t next_statement() { return ++last_statement_; }

  // Takes the query, whose receiver is told once, from the loop; or says why it fails at once.
  [[nodiscard]] std::optional<std::string> ask(PgsqlQuery query);

  // Queries of that statement are dropped, their receiver is not told.
  void forget(const PgsqlStatement& statement);

 private:
  static void on_turn_end(evutil_socket_t, short, void* self) noexcept;
  static void on_wait_over(evutil_socket_t, short, void* self) noexcept;
  static void on_backoff_over(evutil_socket_t, short, void* self) noexcept;

  void on_connected(PgsqlConnected made) override;
  void on_no_connection(std::string why) override;
  void on_values(PgsqlQuery query, Result<std::vector<std::string>> values) override;
  void on_send_again(PgsqlQuery query) override;
  void on_lost(std::vector<PgsqlQuery> unanswered, std::string why, bool timed_out) override;
  void on_over(PgsqlLeftover& leftover) override;
  void on_earlier_host(PgsqlConnected made) override;

  // In front of what waits already.
  void wait_again(std::vector<PgsqlQuery> queries);
  [[nodiscard]] std::size_t in_flight() const { return pipeline_ ? pipeline_->in_flight() : 0; }
  void send_waiting();
  void drop_overdue();
  void watch_waiting();
  void dial();
  void dial_or_back_off();
  void back_off();
  [[nodiscard]] int timeouts_in_a_row() const;
  void leave_behind();
  void turn_to_next_host(const std::vector<PgsqlQuery>& unanswered);
  void log_failure(const std::string& what);
  void refuse(const std::deque<PgsqlQuery>& queries, const std::string& why);

  PgsqlLogin login_;
  std::string shown_;  // the hosts, for the log
  event_base* base_;
  Options options_;
  Availability availability_;  // queries refer to it

  PgsqlDialer dialer_;
  PgsqlReturn return_;
  std::unique_ptr<PgsqlPipeline> pipeline_;
  std::size_t first_ = 0;  // where a round begins
  std::size_t place_ = 0;  // in the list, of the host in use
  std::chrono::steady_clock::time_point connected_at_{};
  std::deque<PgsqlQuery> waiting_;
  bool backing_off_ = false;
  int failed_rounds_ = 0;
  int timeouts_ = 0;  // in a row, the last of them at timed_out_at_
  std::chrono::steady_clock::time_point timed_out_at_{};
  std::vector<std::unique_ptr<PgsqlLeftover>> leftovers_;
  std::string last_failure_;
  std::chrono::steady_clock::time_point next_log_{};
  Backoff wait_between_;
  std::uint64_t last_statement_ = 0;
  Statistics statistics_;
  EventPtr turn_end_;
  EventPtr wait_;
  EventPtr backoff_;
};

}  // namespace lmtpd::lookup
