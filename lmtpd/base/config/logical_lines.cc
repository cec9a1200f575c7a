#include "lmtpd/base/config/logical_lines.h"

#include "lmtpd/base/blanks.h"

namespace lmtpd {

LogicalLines logical_lines(std::string_view text) {
  LogicalLines read;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::string_view visible = trimmed(line);
    if (visible.empty() || visible.front() == '#') continue;
    if (!is_blank(line.front())) {
      read.lines.push_back({number, std::string(line)});
    } else if (!read.lines.empty()) {
      read.lines.back().text += line;
    } else if (read.ignored == 0) {
      read.ignored = number;
    }
  }
  return read;
}

}  // namespace lmtpd
