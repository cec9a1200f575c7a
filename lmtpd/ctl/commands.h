// lmtpd/ctl/commands.h -- what lmtpctl can be asked for.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "lmtpd/ctl/control_client.h"

namespace lmtpd::ctl {

// Who does what is asked for.
enum class DoneBy {
  lookup,   // over the control socket
  master,   // which reads nothing: a signal
  lmtpctl,  // itself
};

struct Command {
  std::string_view name;  // one word, or with an option a second
  DoneBy done_by;
  std::string_view request;   // lookup's word for it
  std::string_view argument;  // its one argument, for the usage text; empty: none is taken,
                              // [in brackets]: it may be left out
  std::string_view purpose;
};

// A name with an option stands before the one without.
[[nodiscard]] std::span<const Command> commands();

// To standard output, escaped(). The exit status: see main.cc.
[[nodiscard]] int print_answer(const Answer& answer);

// What an `error REASON TEXT` answer means to a client, as "550 5.1.1 ...", and the exit status.
struct Refusal {
  std::string reply;
  int status;
};
[[nodiscard]] Refusal refusal_of(std::string_view text);

}  // namespace lmtpd::ctl
