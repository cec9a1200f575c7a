#include "lmtpd/master/command_line.h"

#include <fmt/format.h>

#include <filesystem>
#include <string_view>

namespace lmtpd::master {

Result<CommandLine> parse_command_line(std::span<const char* const> arguments) {
  CommandLine line;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "-c") {
      if (++i == arguments.size()) return fail(Reason::io, "-c needs a file's name");
      line.file = arguments[i];
    } else if (argument == "-t") {
      line.mode = CommandLine::Mode::check;
    } else if (argument == "-n") {
      line.mode = CommandLine::Mode::changed;
    } else if (argument == "-h" || argument == "--help") {
      line.mode = CommandLine::Mode::help;
    } else if (argument == "--version") {
      line.mode = CommandLine::Mode::version;
    } else {
      return fail(Reason::io, fmt::format("unknown argument {}", argument));
    }
  }
  // A reload reads the file again from another working directory.
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(line.file, error);
  if (!error) line.file = absolute.string();
  return line;
}

}  // namespace lmtpd::master
