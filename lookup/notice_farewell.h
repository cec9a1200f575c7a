// lookup/notice_farewell.h -- takes back a LISTEN that a pooler has left with one of its server
// processes.
//
// In transaction mode LISTEN stays with the process that ran it, and what then comes is passed to
// whichever client the pooler has linked to that process: our own lookups, or a stranger. UNLISTEN
// on the same connection may run in another process, so it is said again until it has run in that
// one; at most kMostTimes, and for kLongest. Then the connection is closed. Nobody is told, for
// there is nothing to be done about a failure.
#pragma once

#include <event2/event.h>

#include <chrono>
#include <string>

#include "lmtpd/event/event_ptr.h"
#include "lookup/pgsql_handles.h"

namespace lmtpd::lookup {

class NoticeFarewell {
 public:
  static constexpr int kMostTimes = 100;
  static constexpr std::chrono::seconds kLongest{10};

  // A connection at rest, and the number of the server process that ran the LISTEN.
  NoticeFarewell(event_base* base, PgConnPtr connection, std::string process);
  NoticeFarewell(const NoticeFarewell&) = delete;
  NoticeFarewell& operator=(const NoticeFarewell&) = delete;

 private:
  static void on_readable(evutil_socket_t, short, void* self) noexcept;
  static void on_timeout(evutil_socket_t, short, void* self) noexcept;

  void say();
  void read();
  void end();

  PgConnPtr connection_;
  std::string process_;
  int times_ = 0;
  bool is_done_ = false;
  EventPtr readable_;  // on the connection's socket, which must not be closed before
  EventPtr timer_;
};

}  // namespace lmtpd::lookup
