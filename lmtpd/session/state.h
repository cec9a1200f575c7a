// lmtpd/session/state.h -- what a session is at, and what that means for its owner.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "lmtpd/session/session.h"

namespace lmtpd::session {

enum class State : std::uint8_t {
  handshake,       // the client's next octets are TLS's
  start,           // greeted; LHLO is due
  ready,           // between transactions
  authenticating,  // AUTH waits for the backend
  challenged,      // the client's response to 334 is due
  mail,            // MAIL was taken; no recipient yet
  resolving,       // RCPTs wait for their mailboxes, and all that follows them for their replies
  rcpt,            // one recipient at least was taken
  booking,         // DATA or the first BDAT waits for a place for the body
  data,            // the message, or a chunk of it, comes in
  body_full,       // the backend takes no more of it for now
  chunks,          // behind a chunk; the next one is due
  delivering,      // the message is complete; replies are owed
  closed,
};

struct StateRow {
  State state;
  bool reads;  // what the client sends; else it has to wait
  // How long the client may be silent; none: it is not its turn.
  std::chrono::milliseconds Settings::* silence;
  bool is_timed;          // transaction_time_limit holds, if there is a message or a stray chunk
  bool ends_at_shutdown;  // as shut_down() says; else as soon as it comes to such a state
};

inline constexpr std::array kStates{
    // clang-format off
    //       state                  reads  silence                      timed  ends at shutdown
    StateRow{State::handshake,      false, &Settings::starttls_timeout, false, false},
    StateRow{State::start,          true,  &Settings::session_timeout,  true,  true},
    StateRow{State::ready,          true,  &Settings::session_timeout,  true,  true},
    StateRow{State::authenticating, false, nullptr,                     false, false},
    StateRow{State::challenged,     true,  &Settings::session_timeout,  true,  true},
    StateRow{State::mail,           true,  &Settings::session_timeout,  true,  false},
    StateRow{State::resolving,      true,  nullptr,                     true,  false},
    StateRow{State::rcpt,           true,  &Settings::session_timeout,  true,  false},
    StateRow{State::booking,        false, nullptr,                     true,  false},
    StateRow{State::data,           true,  &Settings::session_timeout,  true,  false},
    StateRow{State::body_full,      false, nullptr,                     true,  false},
    StateRow{State::chunks,         true,  &Settings::session_timeout,  true,  false},
    StateRow{State::delivering,     false, nullptr,                     false, false},
    StateRow{State::closed,         false, nullptr,                     false, false},
    // clang-format on
};

consteval bool every_state_in_place() {
  for (std::size_t i = 0; i < kStates.size(); ++i) {
    if (static_cast<std::size_t>(kStates[i].state) != i) return false;
  }
  return kStates.size() == static_cast<std::size_t>(State::closed) + 1;
}
static_assert(every_state_in_place());

[[nodiscard]] constexpr const StateRow& row_of(State state) {
  return kStates[static_cast<std::size_t>(state)];
}

// A set of them.
class States {
 public:
  explicit constexpr States(std::uint32_t bits) : bits_(bits) {}
  [[nodiscard]] constexpr bool has(State state) const {
    return (bits_ >> static_cast<unsigned>(state) & 1U) != 0;
  }

 private:
  std::uint32_t bits_;
};

template <class... S>
[[nodiscard]] constexpr States in(S... states) {
  return States((... | (std::uint32_t{1} << static_cast<unsigned>(states))));
}

}  // namespace lmtpd::session
