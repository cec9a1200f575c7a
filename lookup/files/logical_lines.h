// lookup/files/logical_lines.h -- the lines of Postfix's text files (readllines(3)).
//
// A line that begins with white space continues the one before. Blank lines and lines whose first
// visible character is # are left out, also between a line and its continuation.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lmtpd::lookup {

struct LogicalLine {
  int number;        // of its first physical line, from 1
  std::string text;  // line ends inside are kept; no white space at the end
};

// A file that begins with a continuation line has it as a line of its own.
[[nodiscard]] std::vector<LogicalLine> logical_lines(std::string_view text);

// As isspace(3) in the C locale.
[[nodiscard]] bool is_space(char c);
[[nodiscard]] std::string_view trimmed(std::string_view text);

}  // namespace lmtpd::lookup
