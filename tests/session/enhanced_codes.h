// tests/session/enhanced_codes.h -- which enhanced status codes are registered (RFC 5248; IANA).
#pragma once

#include <charconv>
#include <map>
#include <string_view>

namespace lmtpd::session {

// "5.1.1"; false also of what is no code.
[[nodiscard]] inline bool is_registered(std::string_view code) {
  static const std::map<int, int> last_detail{{0, 0}, {1, 10}, {2, 4},  {3, 6},
                                              {4, 7}, {5, 6},  {6, 10}, {7, 30}};
  if (code.size() < 5 || code.size() > 6 || code[1] != '.' || code[3] != '.') return false;
  int detail = 0;
  const auto [end, error] = std::from_chars(code.data() + 4, code.data() + code.size(), detail);
  const auto known = last_detail.find(code[2] - '0');
  return (code[0] == '2' || code[0] == '4' || code[0] == '5') && error == std::errc{} &&
         end == code.data() + code.size() && known != last_detail.end() && detail <= known->second;
}

}  // namespace lmtpd::session
