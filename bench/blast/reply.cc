#include "bench/blast/reply.h"

#include <fmt/format.h>

#include <utility>

namespace lmtpd::blast {
namespace {

constexpr std::size_t kLongestLine = 2048;
constexpr std::size_t kMostText = 65536;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The code of a reply line without its CRLF, or 0.
int code_of(std::string_view line) {
  if (line.size() < 3 || !is_digit(line[0]) || !is_digit(line[1]) || !is_digit(line[2])) return 0;
  if (line.size() > 3 && line[3] != ' ' && line[3] != '-') return 0;
  return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

}  // namespace

void ReplyReader::add(std::string_view octets) {
  buffer_.erase(0, std::exchange(used_, 0));
  buffer_ += octets;
}

Expected<bool> ReplyReader::next(Reply& reply) {
  while (true) {
    const std::string_view rest = std::string_view(buffer_).substr(used_);
    const auto end = rest.find('\n');
    const auto length = end == std::string_view::npos ? rest.size() : end;
    if (length > kLongestLine) {
      return complain(fmt::format("a reply line of more than {} octets", kLongestLine));
    }
    if (end == std::string_view::npos) return false;
    std::string_view line = rest.substr(0, end);
    used_ += end + 1;
    if (!line.ends_with('\r')) {
      return complain(fmt::format("a reply line without CR: \"{}\"", printable(line)));
    }
    line.remove_suffix(1);
    const int code = code_of(line);
    if (code == 0) return complain(fmt::format("not a reply line: \"{}\"", printable(line)));
    if (!partial_.text.empty()) {
      if (code != partial_.code || partial_.text.size() > kMostText) {
        return complain(
            fmt::format("a reply of {} goes on with \"{}\"", partial_.code, printable(line)));
      }
      partial_.text += '\n';
    }
    partial_.code = code;
    partial_.text += line;
    if (line.size() == 3 || line[3] == ' ') {
      reply = std::exchange(partial_, Reply{});
      return true;
    }
  }
}

std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 200;
  std::string result(text.substr(0, kLongest));
  for (char& c : result) {
    if (c == '\n') c = '/';
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  if (text.size() > kLongest) result += "...";
  return result;
}

}  // namespace lmtpd::blast
