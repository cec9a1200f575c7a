// lmtpd/ctl/main.cc -- lmtpctl: asks the running daemon.
//
//   lmtpctl [-c FILE | -s SOCKET] COMMAND [ARGUMENT]
//
// DIAGNOSTICS, the exit status:
//   0   deliverable          1   refused (5xx)          75  a temporary failure (4xx), EX_TEMPFAIL
//   64  the command line is wrong, EX_USAGE             69  the daemon cannot be reached,
//   EX_UNAVAILABLE 76  lmtpctl and the daemon are of different builds, EX_PROTOCOL 78  FILE is no
//   valid configuration, EX_CONFIG

#include <sysexits.h>

#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/control_protocol.h"
#include "lmtpd/ctl/commands.h"
#include "lmtpd/ctl/control_client.h"

namespace {

using lmtpd::ctl::Command;

constexpr const char* kDefaultFile = "/etc/lmtpd/lmtpd.cf";

struct Arguments {
  std::string file = kDefaultFile;
  std::string socket;  // wins over what the file says
  const Command* command = nullptr;
  std::string argument;
};

[[noreturn]] void usage() {
  std::fputs("usage: lmtpctl [-c FILE | -s SOCKET] COMMAND\n", stderr);
  for (const Command& command : lmtpd::ctl::commands()) {
    std::fprintf(stderr, "  %s %s  %s\n", command.name.data(), command.argument.data(),
                 command.purpose.data());
  }
  std::exit(EX_USAGE);
}

[[noreturn]] void give_up(const std::string& why, int status) {
  std::fprintf(stderr, "lmtpctl: %s\n", why.c_str());
  std::exit(status);
}

Arguments parse(std::span<char*> given) {
  Arguments arguments;
  std::size_t at = 0;
  for (; at < given.size() && given[at][0] == '-'; at += 2) {
    const std::string_view option = given[at];
    if (at + 1 == given.size() || (option != "-c" && option != "-s")) usage();
    (option == "-c" ? arguments.file : arguments.socket) = given[at + 1];
  }
  if (at == given.size()) usage();
  for (const Command& command : lmtpd::ctl::commands()) {
    if (command.name == given[at]) arguments.command = &command;
  }
  if (arguments.command == nullptr) usage();
  const std::span<char*> words = given.subspan(at + 1);
  const std::string_view wanted = arguments.command->argument;
  const bool may_be_left_out = wanted.empty() || wanted.starts_with('[');
  if (words.size() < (may_be_left_out ? 0U : 1U) || words.size() > (wanted.empty() ? 0U : 1U)) {
    usage();
  }
  if (!words.empty()) arguments.argument = words.front();
  if (!words.empty() && arguments.argument.empty()) usage();
  return arguments;
}

std::string socket_of(const Arguments& arguments) {
  if (!arguments.socket.empty()) return arguments.socket;
  const auto parameters = lmtpd::Parameters::load(arguments.file);
  if (!parameters) give_up(parameters.error().text, EX_CONFIG);
  return parameters->value("control_socket");
}

int run(const Arguments& arguments) {
  auto client = lmtpd::ctl::ControlClient::connect(socket_of(arguments));
  if (!client) give_up(client.error().text, EX_UNAVAILABLE);
  std::string request(arguments.command->name);
  if (!arguments.argument.empty()) request += " " + arguments.argument;
  const auto answer = client->ask(request);
  if (!answer) give_up(answer.error().text, EX_UNAVAILABLE);
  if (answer->status != lmtpd::kControlOk && answer->status != lmtpd::kControlError) {
    give_up("the daemon did not understand: " + answer->text, EX_PROTOCOL);
  }
  return arguments.command->print(*answer);
}

}  // namespace

int main(int argc, char** argv) {
  return run(parse(std::span(argv, static_cast<std::size_t>(argc)).subspan(1)));
}
