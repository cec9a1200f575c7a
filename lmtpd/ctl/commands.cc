#include "lmtpd/ctl/commands.h"

#include <sysexits.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "lmtpd/base/control_protocol.h"
#include "lmtpd/base/log.h"
#include "lmtpd/session/reply.h"

namespace lmtpd::ctl {
namespace {

constexpr int kRefused = 1;

// Lookup is not trusted with root's terminal.
void print_line(std::string_view line) { std::printf("%s\n", escaped(line, line.size()).c_str()); }

constexpr std::array kCommands = {
    Command{"resolve --explain", DoneBy::lookup, "explain", "ADDRESS",
            "the same as without, and every key that was tried, in which table, and its answer"},
    Command{"resolve", DoneBy::lookup, "resolve", "ADDRESS",
            "where mail for ADDRESS is delivered, or the reply it gets"},
    Command{"flush", DoneBy::lookup, "flush", "[ADDRESS | @DOMAIN]",
            "has the daemon ask its tables anew, for ADDRESS, all of DOMAIN, or everything"},
    Command{"check-db", DoneBy::lmtpctl, "", "",
            "rows that can never match or will misbehave; not the daemon's work"},
    Command{"status", DoneBy::lookup, "status", "",
            "counters of all processes, a name and a number a line"},
    Command{"reload", DoneBy::master, "", "",
            "has the daemon read its configuration anew; its log says how that went"},
};

}  // namespace

std::span<const Command> commands() { return kCommands; }

int print_answer(const Answer& answer) {
  for (const std::string& line : answer.lines) print_line(line);
  if (answer.status == kControlOk) return EXIT_SUCCESS;
  const Refusal refusal = refusal_of(answer.text);
  print_line(refusal.reply);
  return refusal.status;
}

Refusal refusal_of(std::string_view text) {
  std::uint8_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number > static_cast<std::uint8_t>(kLastReason)) {
    return {"lookup gave no reason that this lmtpctl knows", EX_PROTOCOL};
  }
  std::string_view words = text.substr(static_cast<std::size_t>(end - text.data()));
  if (words.starts_with(' ')) words.remove_prefix(1);
  const session::Reply reply =
      session::reply_to({static_cast<Reason>(number), std::string(words)}, false);
  return {session::reply_line(reply), reply.permanent() ? kRefused : EX_TEMPFAIL};
}

}  // namespace lmtpd::ctl
