// lookup/pgsql_leftover.h -- a connection that was given up while the server was at work on it.
//
// Closed at once, it would leave a server process behind that goes on for as long as its statement
// takes, for ever where that waits for a lock: a server process looks at its client only when it
// has something to say. So the server is told to cancel (PQcancel(3), in a thread, for it blocks),
// again for each statement that was sent, and the connection is closed when the last is over; at
// the latest after kLongestLife, when nothing is known of the server process.
#pragma once

#include <event2/event.h>

#include <chrono>
#include <cstddef>

#include "lmtpd/base/unique_fd.h"
#include "lmtpd/event/event_ptr.h"
#include "lookup/pgsql_handles.h"

namespace lmtpd::lookup {

class PgsqlLeftover {
 public:
  static constexpr std::chrono::seconds kLongestLife{60};

  class Owner {
   public:
    // May destroy the leftover. From the loop.
    virtual void on_over(PgsqlLeftover& leftover) = 0;

   protected:
    ~Owner() = default;
  };

  // In pipeline mode, with `syncs` Syncs that were sent and not answered.
  PgsqlLeftover(event_base* base, PgConnPtr connection, std::size_t syncs, Owner& owner);
  PgsqlLeftover(const PgsqlLeftover&) = delete;
  PgsqlLeftover& operator=(const PgsqlLeftover&) = delete;

 private:
  static void on_readable(evutil_socket_t, short, void* self) noexcept;
  static void on_cancelled(evutil_socket_t, short, void* self) noexcept;
  static void on_tick(evutil_socket_t, short, void* self) noexcept;

  void read();
  void cancel();
  void cancelled();
  void tick();

  event_base* base_;
  Owner& owner_;
  PgConnPtr connection_;
  std::chrono::steady_clock::time_point end_;
  std::size_t syncs_;
  std::size_t syncs_at_cancel_ = 0;  // how many there were when the last cancel was sent
  UniqueFd cancelling_;              // ends when the thread has done its work
  EventPtr cancelled_;
  EventPtr readable_;
  EventPtr tick_;
};

}  // namespace lmtpd::lookup
