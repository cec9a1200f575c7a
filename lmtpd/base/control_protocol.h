// lmtpd/base/control_protocol.h -- what lmtpctl and lookup say to each other.
//
// A stream of lines over the unix socket `control_socket`. lmtpctl sends one request at a time:
//   COMMAND [ARGUMENT]
// and lookup answers with a line that begins with one of the words below, then lines of text, none
// of which is a lone dot, then a line with a lone dot.
//   ok                 what was asked for stands in the lines that follow
//   error REASON TEXT  it failed; REASON is lmtpd's (a Reason's number: both ends are of one build)
//   usage TEXT         that is no request
#pragma once

#include <cstddef>
#include <string_view>

namespace lmtpd {

inline constexpr std::size_t kLongestControlLine = 16 * 1024;  // octets, either way
inline constexpr std::string_view kControlOk = "ok";
inline constexpr std::string_view kControlError = "error";
inline constexpr std::string_view kControlUsage = "usage";
inline constexpr std::string_view kControlEnd = ".";

}  // namespace lmtpd
