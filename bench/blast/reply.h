// bench/blast/reply.h -- octets from an LMTP server, cut into replies (RFC 5321 section 4.2).
//
// Strict: a line is three digits, then a space, a hyphen or nothing, then text, ended by CRLF, at
// most 2048 octets; all lines of one reply have one code.
#pragma once

#include <string>
#include <string_view>

#include "bench/blast/expected.h"

namespace lmtpd::blast {

struct Reply {
  int code = 0;
  std::string text;  // all lines, joined by '\n', codes left on: "250 2.0.0 ok"
};

class ReplyReader {
 public:
  void add(std::string_view octets);
  // Whether a whole reply was there, which `reply` then is; or what is wrong with the octets.
  [[nodiscard]] Expected<bool> next(Reply& reply);
  [[nodiscard]] bool empty() const { return used_ == buffer_.size() && partial_.text.empty(); }

 private:
  std::string buffer_;
  std::size_t used_ = 0;
  Reply partial_;
};

// For a message to a person: one line, control characters replaced, cut at 200 octets.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace lmtpd::blast
