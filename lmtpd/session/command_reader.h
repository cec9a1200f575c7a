// lmtpd/session/command_reader.h -- cuts the client's octets into command lines.
//
// Only CR LF ends a line. A line that holds a bare CR, a bare LF or a NUL, or that is longer than 8
// KiB (ORCPT may triple an address, so Postfix's lines go beyond RFC 5321's 512), is reported once,
// as soon as that is seen, and discarded up to its CR LF: what follows a bare LF is never taken for
// a command of its own. How the octets were cut on the way makes no difference.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lmtpd::session {

enum class LineFault { none, too_long, bare_newline, nul };

struct CommandLine {
  std::string_view text;  // without CR LF; empty where it has a fault
  LineFault fault = LineFault::none;
};

class CommandReader {
 public:
  static constexpr std::size_t kLongest = 8192;  // octets, CR LF included
  // Of a response in an AUTH exchange (RFC 4954 section 4: 12288 octets must be taken).
  static constexpr std::size_t kLongestResponse = 12288 + 2;

  // Takes octets up to the end of a line, or up to where its fault shows, and returns how many.
  // `line` is set if one was found; its text lives until the next call.
  [[nodiscard]] std::size_t read(std::string_view octets, std::optional<CommandLine>& line,
                                 std::size_t longest = kLongest);

 private:
  std::size_t discard(std::string_view octets);
  [[nodiscard]] LineFault fault_of(char octet, std::size_t longest) const;

  std::string buffer_;
  bool taken_ = false;       // buffer_ was handed out
  bool after_cr_ = false;    // the last octet was a CR
  bool discarding_ = false;  // the line's fault has been reported
};

}  // namespace lmtpd::session
