// lmtpd/session/patience.h -- how much a session takes from its client that leads to no message.
//
// Errors, since the last message. Commands, since one that led on to a message. And what is out of
// turn but for which one may be there: a client that pipelines sends RCPTs and DATA, or BDATs and
// their octets, before it knows that its MAIL was refused. They are no sign of one that wants no
// message, as long as one may have so many; each MAIL, whatever it is answered, begins another.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lmtpd/session/command_table.h"
#include "lmtpd/session/session.h"

namespace lmtpd::session {

class Patience {
 public:
  // Of `settings`: error_limit, junk_command_limit and recipient_limit.
  explicit Patience(const Settings& settings);

  // A command that is next. False: it is one too many.
  [[nodiscard]] bool take_command(MessageStep step, bool in_turn);
  // The last one led nowhere by no fault of the client's, who may try for long.
  void excuse_commands() { junk_commands_ = 0; }

  // A reply that says what the client did wrong. False: it is one too many.
  [[nodiscard]] bool take_error() { return ++errors_ <= error_limit_; }
  void forget_errors() { errors_ = 0; }

  // A BDAT out of turn, whose octets are no commands (RFC 3030 section 2).
  void begin_stray_chunk(std::uint64_t octets, Clock::time_point now);
  // Of `offered` octets, those that are of it: they have come.
  [[nodiscard]] std::size_t take_stray_octets(std::size_t offered);
  // More octets of it are due.
  [[nodiscard]] bool in_stray_chunk() const { return stray_octets_due_ > 0; }
  // Of all since MAIL: their octets, and when the first came.
  [[nodiscard]] std::uint64_t stray_octets() const { return stray_octets_; }
  [[nodiscard]] Clock::time_point strays_since() const { return strays_since_; }

 private:
  std::size_t error_limit_;
  std::size_t junk_command_limit_;
  std::size_t recipient_limit_;
  std::size_t errors_ = 0;
  std::size_t junk_commands_ = 0;
  std::size_t strays_ = 0;  // since MAIL, commands that would lead on
  std::uint64_t stray_octets_ = 0;
  std::uint64_t stray_octets_due_ = 0;  // of the last chunk
  Clock::time_point strays_since_;
};

}  // namespace lmtpd::session
