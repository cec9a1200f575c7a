// lmtpd/base/counter.h -- what the frontends and the committer count, and the names that
// `lmtpctl status` gives it.
//
// docs/status.md says what each one means; a test compares the names. A limit's counter is called
// after the limit's parameter. Scripts read the names: they stay.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lmtpd {

enum class Counter : std::uint8_t {
  connections,
  connections_refused,
  connections_turned_away,
  accept_failures,
  connection_limit_hits,
  client_connection_limit_hits,
  session_timeout_hits,
  transaction_time_limit_hits,
  tls_sessions,
  tls_failures,
  starttls_timeout_hits,
  auth_successes,
  auth_failures,
  auth_unavailable,
  untrusted_refused,
  protocol_errors,
  error_limit_hits,
  junk_command_limit_hits,
  recipients_accepted,
  recipients_deferred,
  recipients_refused,
  recipient_limit_hits,
  lookup_timeouts,
  messages_stored,
  messages_deferred,
  messages_refused,
  message_size_limit_hits,
  hopcount_limit_hits,
  spool_waits,
  spool_limit_hits,
  spool_given_up,
  spool_recipients_deferred,
  deliveries_stored,
  deliveries_deferred,
  deliveries_refused,
  delivery_timeouts,
  owner_deferrals,
  worker_limit_hits,
  shared_syncs,
  shared_sync_requests,
  shared_sync_rests,
};
inline constexpr Counter kLastCounter = Counter::shared_sync_rests;

struct CounterName {
  Counter counter;
  std::string_view name;
};

inline constexpr std::array kCounterNames{
    CounterName{Counter::connections, "connections"},
    CounterName{Counter::connections_refused, "connections_refused"},
    CounterName{Counter::connections_turned_away, "connections_turned_away"},
    CounterName{Counter::accept_failures, "accept_failures"},
    CounterName{Counter::connection_limit_hits, "connection_limit_hits"},
    CounterName{Counter::client_connection_limit_hits, "client_connection_limit_hits"},
    CounterName{Counter::session_timeout_hits, "session_timeout_hits"},
    CounterName{Counter::transaction_time_limit_hits, "transaction_time_limit_hits"},
    CounterName{Counter::tls_sessions, "tls_sessions"},
    CounterName{Counter::tls_failures, "tls_failures"},
    CounterName{Counter::starttls_timeout_hits, "starttls_timeout_hits"},
    CounterName{Counter::auth_successes, "auth_successes"},
    CounterName{Counter::auth_failures, "auth_failures"},
    CounterName{Counter::auth_unavailable, "auth_unavailable"},
    CounterName{Counter::untrusted_refused, "untrusted_refused"},
    CounterName{Counter::protocol_errors, "protocol_errors"},
    CounterName{Counter::error_limit_hits, "error_limit_hits"},
    CounterName{Counter::junk_command_limit_hits, "junk_command_limit_hits"},
    CounterName{Counter::recipients_accepted, "recipients_accepted"},
    CounterName{Counter::recipients_deferred, "recipients_deferred"},
    CounterName{Counter::recipients_refused, "recipients_refused"},
    CounterName{Counter::recipient_limit_hits, "recipient_limit_hits"},
    CounterName{Counter::lookup_timeouts, "lookup_timeouts"},
    CounterName{Counter::messages_stored, "messages_stored"},
    CounterName{Counter::messages_deferred, "messages_deferred"},
    CounterName{Counter::messages_refused, "messages_refused"},
    CounterName{Counter::message_size_limit_hits, "message_size_limit_hits"},
    CounterName{Counter::hopcount_limit_hits, "hopcount_limit_hits"},
    CounterName{Counter::spool_waits, "spool_waits"},
    CounterName{Counter::spool_limit_hits, "spool_limit_hits"},
    CounterName{Counter::spool_given_up, "spool_given_up"},
    CounterName{Counter::spool_recipients_deferred, "spool_recipients_deferred"},
    CounterName{Counter::deliveries_stored, "deliveries_stored"},
    CounterName{Counter::deliveries_deferred, "deliveries_deferred"},
    CounterName{Counter::deliveries_refused, "deliveries_refused"},
    CounterName{Counter::delivery_timeouts, "delivery_timeouts"},
    CounterName{Counter::owner_deferrals, "owner_deferrals"},
    CounterName{Counter::worker_limit_hits, "worker_limit_hits"},
    CounterName{Counter::shared_syncs, "shared_syncs"},
    CounterName{Counter::shared_sync_requests, "shared_sync_requests"},
    CounterName{Counter::shared_sync_rests, "shared_sync_rests"},
};

consteval bool every_counter_in_place() {
  if (kCounterNames.size() != static_cast<std::size_t>(kLastCounter) + 1) return false;
  for (std::size_t i = 0; i < kCounterNames.size(); ++i) {
    if (static_cast<std::size_t>(kCounterNames[i].counter) != i) return false;
  }
  return true;
}
static_assert(every_counter_in_place());

}  // namespace lmtpd
