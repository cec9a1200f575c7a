#include "lookup/netstring.h"

#include <fmt/format.h>

namespace lmtpd::lookup {

NetstringReader::Step NetstringReader::read(std::string_view input) const {
  constexpr Step kMalformed{Step::Kind::malformed};
  std::size_t length = 0;
  std::size_t at = 0;
  for (; at < input.size() && input[at] != ':'; ++at) {
    const char digit = input[at];
    // No leading zero (the format's author wants none), so that few digits are ever read.
    if (digit < '0' || digit > '9' || (at == 1 && input[0] == '0')) return kMalformed;
    length = length * 10 + static_cast<std::size_t>(digit - '0');
    if (length > longest_) return kMalformed;
  }
  if (at == input.size()) return {Step::Kind::need_more};
  if (at == 0) return kMalformed;
  const std::size_t begin = at + 1;
  if (input.size() <= begin + length) return {Step::Kind::need_more};
  if (input[begin + length] != ',') return kMalformed;
  return {Step::Kind::string, begin + length + 1, input.substr(begin, length)};
}

std::string netstring(std::string_view text) { return fmt::format("{}:{},", text.size(), text); }

}  // namespace lmtpd::lookup
