// lookup/pgsql_pipeline.h -- one connection to PostgreSQL, in pipeline mode.
//
// Every statement has a Sync of its own, so that one that fails leaves its neighbours alone, and
// all that is given to one send() is on its way before the first answer is read. A query is
// prepared once a connection, in front of its first use; anew if its result type has changed. A
// query that PostgreSQL does not take with parameters is sent as text from then on.
//
// Nothing is prepared on a connection through a pooler (each Sync may go to another server
// process), nor any more on one that lacks a statement, or has one, contrary to what we know: a
// query is then parsed, unnamed, in the Sync that runs it.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "lmtpd/base/result.h"
#include "lmtpd/event/event_ptr.h"
#include "lookup/pgsql_handles.h"
#include "lookup/pgsql_query.h"

namespace lmtpd::lookup {

class PgsqlPipeline {
 public:
  class Owner {
   public:
    // The outcome of one query. Must not destroy the pipeline, nor call send().
    virtual void on_values(PgsqlQuery query, Result<std::vector<std::string>> values) = 0;
    // The query must be sent again; the same rules.
    virtual void on_send_again(PgsqlQuery query) = 0;
    // The connection is of no use any more. May destroy the pipeline. Called once, from the loop.
    virtual void on_lost(std::vector<PgsqlQuery> unanswered, std::string why, bool timed_out) = 0;

   protected:
    ~Owner() = default;
  };

  // `number` tells this connection from those before it. A query that has no answer after
  // `query_timeout` ends the connection.
  PgsqlPipeline(event_base* base, PgConnPtr connection, std::uint64_t number, bool may_prepare,
                std::chrono::milliseconds query_timeout, Owner& owner);
  PgsqlPipeline(const PgsqlPipeline&) = delete;
  PgsqlPipeline& operator=(const PgsqlPipeline&) = delete;

  void send(std::vector<PgsqlQuery> queries);

  // Answers of that statement's queries go to nobody; it may be destroyed.
  void forget(const PgsqlStatement& statement);

  // Ends its work: what has no answer yet.
  [[nodiscard]] std::vector<PgsqlQuery> take_unanswered();
  // The connection, after that; as many Syncs as unanswered_syncs() says are still to be answered.
  [[nodiscard]] PgConnPtr take_connection();
  [[nodiscard]] std::size_t unanswered_syncs() const { return unanswered_syncs_; }

  [[nodiscard]] std::size_t in_flight() const { return sent_.size(); }
  // Whether the server has answered anything.
  [[nodiscard]] bool has_answered() const { return has_answered_; }

 private:
  enum class Kind : std::uint8_t { prepare, check, query };
  enum class Form : std::uint8_t { named, unnamed, text };
  struct Failure {
    std::string sqlstate;
    std::string source;  // the server's function that raised it
    std::string text;
  };
  struct Sent {
    Kind kind;
    PgsqlQuery query;  // of Kind::prepare only the statement
    unsigned version;
    Form form;
    std::chrono::steady_clock::time_point deadline;
    std::optional<Failure> failure{};
    std::vector<std::string> values{};
  };

  static void on_readable(evutil_socket_t, short, void* self) noexcept;
  static void on_writable(evutil_socket_t, short, void* self) noexcept;
  static void on_timer(evutil_socket_t, short, void* self) noexcept;

  bool send_query(PgsqlQuery query);
  bool send_prepare(PgsqlStatement& statement);
  bool send_with_parameters(const Sent& sent);
  bool send_as_text(Sent& sent);
  [[nodiscard]] Form form_of(const PgsqlQuery& query) const;
  void push(Kind kind, PgsqlQuery query);
  [[nodiscard]] std::optional<std::string> text_of(const PgsqlQuery& query) const;
  void cork(bool on);
  void flush();
  void break_off(std::string why);
  void read();
  void take(PGresult* result);
  void finish(Sent sent);
  void finish_prepare(const Sent& sent);
  void finish_failed(Sent sent);
  void stop_preparing(const Failure& failure);
  void lose(std::string why, bool timed_out);

  std::uint64_t number_;
  bool may_prepare_;
  std::chrono::milliseconds query_timeout_;
  Owner& owner_;
  PgConnPtr connection_;
  std::deque<Sent> sent_;
  std::size_t unanswered_syncs_ = 0;  // when its work ended
  std::string broken_;                // why on_lost() is due
  bool has_answered_ = false;
  // On the connection's socket, so they go first.
  EventPtr readable_;
  EventPtr writable_;
  EventPtr timer_;
};

}  // namespace lmtpd::lookup
