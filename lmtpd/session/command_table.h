// lmtpd/session/command_table.h -- the vocabulary of the protocol's one table (commands.cc).
#pragma once

#include <cstdint>
#include <string_view>

#include "lmtpd/session/state.h"

namespace lmtpd::session {

inline constexpr States kAny =
    in(State::start, State::ready, State::mail, State::rcpt, State::chunks);

enum class Args : std::uint8_t { none, optional, required };

// What a command is to a message, if it comes in its turn: nothing, its first step (MAIL), or one
// that leads on to its end.
enum class MessageStep : std::uint8_t { none, first, further };

// A command may be begun while RCPTs before it wait only if it ends no group: then its reply takes
// its place behind theirs. RFC 2920 3.1 has RSET inside of a group too; here it ends one, since it
// forgets the recipients that wait.
template <class Session>
struct CommandRow {
  std::string_view verb;
  States legal_in;
  Args args;
  bool ends_group;
  bool in_clear;  // also where TLS is required and not there yet (RFC 3207 section 4)
  void (Session::*handler)(std::string_view argument);
  // Where it is not legal; none: 503 5.5.1 is all that is to be done.
  void (Session::*out_of_turn)(std::string_view argument) = nullptr;
  MessageStep step = MessageStep::none;
};

}  // namespace lmtpd::session
