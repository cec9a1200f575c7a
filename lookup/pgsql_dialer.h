// lookup/pgsql_dialer.h -- one connection to the first of several PostgreSQL hosts that takes it.
//
// Hosts in the order written, each host's addresses in the resolver's; every address, and every
// name, has `timeout` of its own. Never blocks: names are resolved in a thread, and libpq is given
// addresses (PQconnectStart() would wait for getaddrinfo).
//
// A host takes the connection when it has answered a query: a pooler whose database is away lets
// clients in all the same. The query asks for the server process's number, which differs from what
// the connection was told if a pooler stands in between.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lmtpd/event/event_ptr.h"
#include "lookup/name_lookup.h"
#include "lookup/pgsql_handles.h"
#include "lookup/pgsql_hosts.h"

namespace lmtpd::lookup {

struct PgsqlConnected {
  PgConnPtr connection;  // ready for commands, not yet in pipeline mode
  std::string host;      // for the log
  std::size_t place;     // of the host in the list
  bool is_pooled;        // the next transaction may run in another server process
};

class PgsqlDialer final : private NameLookup::Owner {
 public:
  class Owner {
   public:
    virtual void on_connected(PgsqlConnected made) = 0;
    // No host took the connection; `why` has a word on each and no password.
    virtual void on_no_connection(std::string why) = 0;

   protected:
    ~Owner() = default;
  };

  PgsqlDialer(event_base* base, std::vector<PgsqlHost> hosts, std::chrono::milliseconds timeout,
              Owner& owner);
  PgsqlDialer(const PgsqlDialer&) = delete;
  PgsqlDialer& operator=(const PgsqlDialer&) = delete;

  // Begins a round over the hosts in place of one that is under way: over `count` of them from
  // `first` on, the list's first coming after its last. One call of the owner ends it, from the
  // loop, and may start the next.
  void start(std::size_t first = 0, std::size_t count = SIZE_MAX);
  void stop();

  [[nodiscard]] const std::vector<PgsqlHost>& hosts() const { return hosts_; }

 private:
  static void on_begin(evutil_socket_t, short, void* self) noexcept;
  static void on_ready(evutil_socket_t, short, void* self) noexcept;
  static void on_timeout(evutil_socket_t, short, void* self) noexcept;
  void on_addresses(Result<std::vector<std::string>> addresses) override;

  void try_host();
  void try_address();
  void poll();
  void ask();
  void take_answer();
  void wait_for(short what);
  void address_failed(const std::string& why);
  void timed_out();
  [[nodiscard]] const PgsqlHost& host() const { return hosts_[host_]; }

  event_base* base_;
  std::vector<PgsqlHost> hosts_;
  std::chrono::milliseconds timeout_;
  Owner& owner_;

  std::size_t host_ = 0;
  std::size_t left_ = 0;  // of the round's hosts, the present one included
  std::unique_ptr<NameLookup> name_lookup_;
  std::vector<std::string> addresses_;  // of the present host; "" where libpq needs none
  std::size_t address_ = 0;
  std::string failures_;
  PgConnPtr connection_;
  bool asked_ = false;  // the query is on its way
  std::optional<bool> is_pooled_;
  std::string refusal_;  // of the query
  EventPtr ready_;       // on the connection's socket, which must not be closed before
  EventPtr begin_;
  EventPtr timer_;
};

}  // namespace lmtpd::lookup
