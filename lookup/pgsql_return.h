// lookup/pgsql_return.h -- the way back to a host that stands earlier in the list than the one in
// use.
//
// Once an interval the earlier hosts are tried in their order. One is fit if it takes a connection
// and then answers in time what had no answer when a host was last left for that (must_answer()): a
// host where queries wait for ever answers the dialer all the same, and would be left again after
// the next query_timeout. An error is no such answer.
//
// A connection whose question is given up has the server cancel it (PgsqlLeftover); no host is
// tried before that is done.
#pragma once

#include <event2/event.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lmtpd/event/event_ptr.h"
#include "lookup/pgsql_dialer.h"
#include "lookup/pgsql_leftover.h"
#include "lookup/pgsql_pipeline.h"
#include "lookup/pgsql_query.h"

namespace lmtpd::lookup {

class PgsqlReturn final : private PgsqlDialer::Owner,
                          private PgsqlPipeline::Owner,
                          private PgsqlLeftover::Owner {
 public:
  struct Options {
    std::chrono::milliseconds connect_timeout;
    std::chrono::milliseconds query_timeout;
    std::chrono::milliseconds interval;
  };

  class Owner {
   public:
    // No other is looked for until watch(). From the loop.
    virtual void on_earlier_host(PgsqlConnected made) = 0;

   protected:
    ~Owner() = default;
  };

  PgsqlReturn(event_base* base, std::vector<PgsqlHost> hosts, Options options, Owner& owner);
  PgsqlReturn(const PgsqlReturn&) = delete;
  PgsqlReturn& operator=(const PgsqlReturn&) = delete;

  // Looks for one among the first `count` hosts, from an interval on.
  void watch(std::size_t count);
  void stop();

  // Only while nothing is watched.
  void must_answer(const PgsqlQuery& question);
  void need_not_answer() { question_.reset(); }
  // The statement may be destroyed.
  void forget(const PgsqlStatement& statement);

 private:
  static void on_tick(evutil_socket_t, short, void* self) noexcept;
  static void on_answered(evutil_socket_t, short, void* self) noexcept;

  void on_connected(PgsqlConnected made) override;
  void on_no_connection(std::string why) override;
  void on_values(PgsqlQuery query, Result<std::vector<std::string>> values) override;
  void on_send_again(PgsqlQuery query) override;
  void on_lost(std::vector<PgsqlQuery> unanswered, std::string why, bool timed_out) override;
  void on_over(PgsqlLeftover& leftover) override;

  void wait();
  void try_from(std::size_t place);
  void end_trial();
  void give_up();
  void leave_behind();
  void drop_pipeline();

  event_base* base_;
  Options options_;
  Owner& owner_;
  PgsqlDialer dialer_;
  std::size_t count_ = 0;
  std::optional<PgsqlQuery> question_;
  PgsqlConnected trial_{};  // its connection is the pipeline's
  bool is_fit_ = false;
  std::unique_ptr<PgsqlPipeline> pipeline_;
  std::vector<std::unique_ptr<PgsqlLeftover>> leftovers_;
  EventPtr tick_;
  EventPtr answered_;
};

}  // namespace lmtpd::lookup
