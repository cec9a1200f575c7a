// lmtpd/ctl/main.cc -- lmtpctl: asks the running daemon.
//
//   lmtpctl [-c FILE | -s SOCKET] COMMAND [--OPTION] [ARGUMENT]
//
// DIAGNOSTICS, the exit status:
//   0   deliverable, done, no faults
//   1   refused (5xx), faults
//   64  the command line is wrong, EX_USAGE
//   69  the daemon, or a database, cannot be reached, EX_UNAVAILABLE
//   75  a temporary failure (4xx), EX_TEMPFAIL
//   76  lmtpctl and the daemon are of different builds, EX_PROTOCOL
//   78  FILE is no valid configuration, EX_CONFIG

#include <sysexits.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/control_protocol.h"
#include "lmtpd/base/log.h"
#include "lmtpd/ctl/check_db.h"
#include "lmtpd/ctl/commands.h"
#include "lmtpd/ctl/control_client.h"

namespace {

using lmtpd::ctl::Command;
using lmtpd::ctl::ControlClient;
using lmtpd::ctl::DoneBy;

constexpr const char* kDefaultFile = "/etc/lmtpd/lmtpd.cf";

struct Arguments {
  std::string file = kDefaultFile;
  std::string socket;  // wins over what the file says
  const Command* command = nullptr;
  std::string argument;
};

void print_usage(std::FILE* to) {
  std::fprintf(to,
               "usage: lmtpctl [-c FILE | -s SOCKET] COMMAND\n"
               "  -c FILE     the daemon's configuration; %s without\n"
               "  -s SOCKET   its control_socket, if not as FILE says\n"
               "  -h, --help  print this, and exit\n"
               "  --version   print the version, and exit\n",
               kDefaultFile);
  for (const Command& command : lmtpd::ctl::commands()) {
    std::fprintf(to, "  %s %s  %s\n", command.name.data(), command.argument.data(),
                 command.purpose.data());
  }
}

[[noreturn]] void usage() {
  print_usage(stderr);
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
    if (option == "-h" || option == "--help") {
      print_usage(stdout);
      std::exit(EXIT_SUCCESS);
    }
    if (option == "--version") {
      std::printf("lmtpctl %s\n", LMTPD_VERSION);
      std::exit(EXIT_SUCCESS);
    }
    if (at + 1 == given.size() || (option != "-c" && option != "-s")) usage();
    (option == "-c" ? arguments.file : arguments.socket) = given[at + 1];
  }
  if (at == given.size()) usage();
  const std::string name = given[at];
  const std::string with_option = at + 1 < given.size() ? name + " " + given[at + 1] : name;
  for (const Command& command : lmtpd::ctl::commands()) {
    if (command.name != with_option && command.name != name) continue;
    arguments.command = &command;
    break;
  }
  if (arguments.command == nullptr) usage();
  const std::span<char*> words = given.subspan(at + (arguments.command->name == name ? 1 : 2));
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

int ask_lookup(ControlClient& client, const Arguments& arguments) {
  std::string request(arguments.command->request);
  if (!arguments.argument.empty()) request += " " + arguments.argument;
  const auto answer = client.ask(request);
  if (!answer) give_up(answer.error().text, EX_UNAVAILABLE);
  if (answer->status != lmtpd::kControlOk && answer->status != lmtpd::kControlError) {
    give_up("the daemon did not understand: " + lmtpd::escaped(answer->text), EX_PROTOCOL);
  }
  return lmtpd::ctl::print_answer(*answer);
}

int signal_master(const ControlClient& client) {
  const auto signalled = client.signal_master(SIGHUP);
  if (!signalled) give_up(signalled.error().text, EX_UNAVAILABLE);
  return EXIT_SUCCESS;
}

int run(const Arguments& arguments) {
  if (arguments.command->done_by == DoneBy::lmtpctl) return lmtpd::ctl::check_db(arguments.file);
  auto client = ControlClient::connect(socket_of(arguments));
  if (!client) give_up(client.error().text, EX_UNAVAILABLE);
  return arguments.command->done_by == DoneBy::master ? signal_master(*client)
                                                      : ask_lookup(*client, arguments);
}

}  // namespace

int main(int argc, char** argv) {
  return run(parse(std::span(argv, static_cast<std::size_t>(argc)).subspan(1)));
}
