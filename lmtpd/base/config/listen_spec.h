// lmtpd/base/config/listen_spec.h -- one listener of the parameter `listen`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lmtpd/base/result.h"

namespace lmtpd {

struct ListenSpec {
  enum class Kind { unix_socket, inet };
  Kind kind = Kind::unix_socket;
  std::string path;        // unix: absolute, at most 107 octets (sun_path)
  std::string host;        // inet: a name, an IPv4 or IPv6 address without brackets, or "*" for all
  std::uint16_t port = 0;  // inet
  std::string text;        // as the configuration has it
  bool operator==(const ListenSpec&) const = default;
};

}  // namespace lmtpd
