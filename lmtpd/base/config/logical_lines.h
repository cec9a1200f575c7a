// lmtpd/base/config/logical_lines.h -- the lines of Postfix's text files (readllines(3)).
//
// A line that begins with white space continues the one before. Blank lines and lines whose first
// visible character is # are left out, also between a line and its continuation.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lmtpd {

struct LogicalLine {
  std::size_t number = 0;  // of its first physical line, from 1
  std::string text;        // physical lines one behind the other, without the line ends
};

struct LogicalLines {
  std::vector<LogicalLine> lines;
  // Number of a first line that continues nothing, which is left out as Postfix does; 0: none.
  std::size_t ignored = 0;
};

[[nodiscard]] LogicalLines logical_lines(std::string_view text);

}  // namespace lmtpd
