#include "lmtpd/session/command_reader.h"

namespace lmtpd::session {

std::size_t CommandReader::discard(std::string_view octets) {
  if (octets.empty()) return 0;
  std::size_t at = 0;
  while (true) {
    if (after_cr_ && at < octets.size() && octets[at] == '\n') {
      after_cr_ = false;
      discarding_ = false;
      return at + 1;
    }
    const std::size_t cr = octets.find('\r', at);
    after_cr_ = cr != std::string_view::npos;
    if (!after_cr_) return octets.size();
    at = cr + 1;
    if (at == octets.size()) return at;
  }
}

LineFault CommandReader::fault_of(char octet, std::size_t longest) const {
  if (after_cr_ != (octet == '\n')) return LineFault::bare_newline;
  if (octet == '\0') return LineFault::nul;
  if (buffer_.size() + 2 > longest) return LineFault::too_long;
  return LineFault::none;
}

std::size_t CommandReader::read(std::string_view octets, std::optional<CommandLine>& line,
                                std::size_t longest) {
  line.reset();
  if (taken_) {
    buffer_.clear();
    taken_ = false;
  }
  std::size_t at = 0;
  if (discarding_) {
    at = discard(octets);
    if (discarding_) return at;
  }
  for (; at < octets.size(); ++at) {
    const char octet = octets[at];
    const LineFault fault = fault_of(octet, longest);
    if (fault != LineFault::none) {
      line = CommandLine{{}, fault};
      buffer_.clear();
      discarding_ = true;
      after_cr_ = octet == '\r';
      return at + 1;
    }
    if (octet == '\n') {
      after_cr_ = false;
      taken_ = true;
      line = CommandLine{buffer_, LineFault::none};
      return at + 1;
    }
    after_cr_ = octet == '\r';
    if (!after_cr_) buffer_ += octet;
  }
  return at;
}

}  // namespace lmtpd::session
