// lmtpd/ctl/commands.h -- what lmtpctl can be asked for.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "lmtpd/ctl/control_client.h"

namespace lmtpd::ctl {

struct Command {
  std::string_view name;
  std::string_view argument;  // its one argument, for the usage text; empty: none is taken,
                              // [in brackets]: it may be left out
  std::string_view purpose;
  // Prints to standard output. The exit status: see main.cc.
  int (*print)(const Answer& answer);
};

[[nodiscard]] std::span<const Command> commands();

// What an `error REASON TEXT` answer means to a client, as "550 5.1.1 ...", and the exit status.
struct Refusal {
  std::string reply;
  int status;
};
[[nodiscard]] Refusal refusal_of(std::string_view text);

}  // namespace lmtpd::ctl
