// lmtpd/master/command_line.h -- lmtpd [-c FILE] [-t | -n | --help | --version]
#pragma once

#include <span>
#include <string>

#include "lmtpd/base/result.h"

namespace lmtpd::master {

struct CommandLine {
  enum class Mode {
    run,
    check,    // -t
    changed,  // -n
    help,     // -h, --help
    version,  // --version
  };
  Mode mode = Mode::run;
  std::string file = "/etc/lmtpd/lmtpd.cf";  // made absolute
};

inline constexpr const char* kUsage =
    "usage: lmtpd [-c FILE] [-t | -n]\n"
    "  -c FILE     the configuration; /etc/lmtpd/lmtpd.cf without\n"
    "  -t          check the configuration and all that it names, and exit\n"
    "  -n          print the parameters that differ from their defaults, and exit\n"
    "  -h, --help  print this, and exit\n"
    "  --version   print the version, and exit\n"
    "Without -t and -n: run in the foreground. SIGTERM ends it in order, SIGHUP reloads.\n";

// `arguments` without the program's name. Fails on what it does not know.
[[nodiscard]] Result<CommandLine> parse_command_line(std::span<const char* const> arguments);

}  // namespace lmtpd::master
