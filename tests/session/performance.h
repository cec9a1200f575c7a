// tests/session/performance.h -- a dialogue performed: its client's lines are said on a stage, and
// what is replied, stored, logged and asked for there is compared with its other lines.
//
// Differences are failures of the running test, which name the dialogue's line.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lmtpd/session/session.h"
#include "tests/session/dialogue.h"
#include "tests/session/scripted_backend.h"

namespace lmtpd::session {

// How the client's octets come: each line when its turn comes, octet by octet, or all at once that
// are said before the next event.
enum class Manner { stepwise, bytewise, pipelined };

[[nodiscard]] const char* name_of(Manner manner);
// For a test's name: the title in letters and digits.
[[nodiscard]] std::string name_of(const Dialogue& dialogue);

// A session, its client's end, and the backend that does as the dialogue says. It knows the manner
// and cuts what is sent.
class Stage {
 public:
  Stage() = default;
  virtual ~Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  [[nodiscard]] ScriptedBackend& backend() { return backend_; }
  // False: delays in the log are those of this machine.
  [[nodiscard]] virtual bool has_scripted_clock() const = 0;

  // Called once, before what follows.
  virtual void begin(const Settings& settings, const Peer& peer) = 0;
  virtual void send(std::string_view octets) = 0;
  // The same, uncut.
  virtual void send_in_one_piece(std::string_view octets) = 0;
  // As the dialogue's `tls HOW`.
  virtual void begin_tls(std::string_view how) = 0;
  virtual void shut_down() = 0;
  virtual void wait(std::chrono::milliseconds span) = 0;
  // The next line of a reply, without CR LF; gives answers that are owed meanwhile. nullopt: none
  // comes.
  [[nodiscard]] virtual std::optional<std::string> read_line() = 0;
  // Behind the last reply: the session ended the connection, and not because its client had.
  [[nodiscard]] virtual bool closed() = 0;
  // The client has said all, and all answers are given. Fails the test if the session took less.
  virtual void end() = 0;

 private:
  ScriptedBackend backend_;
};

// Returns what must be the same of every performance of a dialogue: all lines of the replies,
// then what was stored. Nothing of that is this machine's: a Stage has one id for its session, and
// puts back what it has of its own.
[[nodiscard]] std::string perform(const Dialogue& dialogue, Manner manner, Stage& stage);

}  // namespace lmtpd::session
