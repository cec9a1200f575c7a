#include "lookup/files/logical_lines.h"

namespace lmtpd::lookup {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<LogicalLine> logical_lines(std::string_view text) {
  std::vector<LogicalLine> lines;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    while (!line.empty() && is_space(line.back())) line.remove_suffix(1);
    const std::string_view visible = trimmed(line);
    if (visible.empty() || visible.front() == '#') continue;
    if (is_space(line.front()) && !lines.empty()) {
      lines.back().text.append("\n").append(line);
    } else {
      lines.push_back({number, std::string(visible)});
    }
  }
  return lines;
}

}  // namespace lmtpd::lookup
