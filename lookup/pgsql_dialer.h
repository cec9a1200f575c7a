// lookup/pgsql_dialer.h -- one connection to the first of several PostgreSQL hosts that takes it.
//
// Hosts in the order written, each host's addresses in the resolver's; every address, and every
// name, has `timeout` of its own. Never blocks: names are resolved in a thread, and libpq is given
// addresses (PQconnectStart() would wait for getaddrinfo).
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "lmtpd/event/event_ptr.h"
#include "lookup/name_lookup.h"
#include "lookup/pgsql_handles.h"
#include "lookup/pgsql_hosts.h"

namespace lmtpd::lookup {

class PgsqlDialer final : private NameLookup::Owner {
 public:
  class Owner {
   public:
    // Ready for commands, not yet in pipeline mode. `host` is for the log.
    virtual void on_connected(PgConnPtr connection, const std::string& host) = 0;
    // No host took the connection; `why` has a word on each and no password.
    virtual void on_no_connection(std::string why) = 0;

   protected:
    ~Owner() = default;
  };

  PgsqlDialer(event_base* base, std::vector<PgsqlHost> hosts, std::chrono::milliseconds timeout,
              Owner& owner);
  PgsqlDialer(const PgsqlDialer&) = delete;
  PgsqlDialer& operator=(const PgsqlDialer&) = delete;

  // Begins a round over the hosts; not while one is under way. One call of the owner ends it, from
  // the loop, and may start the next.
  void start();

  [[nodiscard]] const std::vector<PgsqlHost>& hosts() const { return hosts_; }

 private:
  static void on_begin(evutil_socket_t, short, void* self) noexcept;
  static void on_ready(evutil_socket_t, short, void* self) noexcept;
  static void on_timeout(evutil_socket_t, short, void* self) noexcept;
  void on_addresses(Result<std::vector<std::string>> addresses) override;

  void try_host();
  void try_address();
  void poll();
  void wait_for(short what);
  void address_failed(const std::string& why);
  void timed_out();
  [[nodiscard]] const PgsqlHost& host() const { return hosts_[host_]; }

  event_base* base_;
  std::vector<PgsqlHost> hosts_;
  std::chrono::milliseconds timeout_;
  Owner& owner_;

  std::size_t host_ = 0;
  std::unique_ptr<NameLookup> name_lookup_;
  std::vector<std::string> addresses_;  // of the present host; "" where libpq needs none
  std::size_t address_ = 0;
  std::string failures_;
  PgConnPtr connection_;
  EventPtr ready_;  // on the connection's socket, which must not be closed before
  EventPtr begin_;
  EventPtr timer_;
};

}  // namespace lmtpd::lookup
