// lookup/notice_listener.h -- hears from PostgreSQL which rows have changed (LISTEN, NOTIFY).
//
// A connection of its own, to the first of the hosts that is no standby, listens on the channel
// `lmtpd`, to which the triggers of contrib/sql/notify.sql write. That LISTEN was answered proves
// nothing: through a pooler in transaction mode no notice ever comes. So at connect and every
// kProofInterval a notice is sent over another connection, that of the tables, to the channel
// `lmtpd_proof`; the feed counts as whole from its coming until a proof is missed or the
// connection is lost, and is then made anew with back-off. What a pooler was left with is taken
// back (NoticeFarewell).
#pragma once

#include <event2/event.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/event/event_ptr.h"
#include "lookup/backoff.h"
#include "lookup/notice_farewell.h"
#include "lookup/pgsql_dialer.h"
#include "lookup/pgsql_query.h"
#include "lookup/pgsql_server.h"

namespace lmtpd::lookup {

class NoticeListener final : private PgsqlDialer::Owner, private PgsqlReceiver {
 public:
  static constexpr std::chrono::seconds kProofInterval{10};

  class Owner {
   public:
    // What a trigger wrote: see contrib/sql/notify.sql.
    virtual void on_notice(std::string_view payload) = 0;
    // The feed is whole from now on, or is not any more. Either way, what changed before may have
    // gone unnoticed.
    virtual void on_feed(bool is_whole) = 0;

   protected:
    ~Owner() = default;
  };

  // Dials once the loop runs. `prover` is a server at the same hosts; it and the owner outlive the
  // listener.
  NoticeListener(event_base* base, std::vector<PgsqlHost> hosts, std::chrono::milliseconds timeout,
                 PgsqlServer& prover, Owner& owner);
  ~NoticeListener();
  NoticeListener(const NoticeListener&) = delete;
  NoticeListener& operator=(const NoticeListener&) = delete;

  [[nodiscard]] bool is_whole() const { return is_whole_; }

 private:
  static void on_readable(evutil_socket_t, short, void* self) noexcept;
  static void on_timer(evutil_socket_t, short, void* self) noexcept;
  static void on_more(evutil_socket_t, short, void* self) noexcept;

  void on_connected(PgsqlConnected made) override;
  void on_no_connection(std::string why) override;
  void on_values(const PgsqlQuery& query, Result<std::vector<std::string>> values) override;

  void read();
  void take_notices();
  // False: LISTEN failed.
  [[nodiscard]] bool take_results();
  void take(std::string_view channel, std::string_view payload);
  void send_proof();
  void schedule(std::chrono::milliseconds wait);
  void lose(const std::string& why);

  event_base* base_;
  PgsqlServer& prover_;
  Owner& owner_;
  PgsqlDialer dialer_;
  std::string host_;
  SqlStatement proof_query_;
  PgsqlStatement proof_statement_;
  std::string token_;  // of the proof that is awaited; empty: none is
  std::string why_no_proof_;
  bool is_listening_ = false;
  bool is_pooled_ = false;
  std::string process_;  // the number of the server process that listens
  bool is_whole_ = false;
  bool said_lost_ = false;
  int failures_ = 0;
  Backoff wait_between_;
  std::unique_ptr<NoticeFarewell> farewell_;  // of the connection before
  PgConnPtr connection_;
  EventPtr readable_;  // on the connection's socket, which must not be closed before
  EventPtr timer_;  // connected: the next proof, or the end of waiting for one; else the next try
  EventPtr more_;   // notices that have been read and not taken
};

}  // namespace lmtpd::lookup
