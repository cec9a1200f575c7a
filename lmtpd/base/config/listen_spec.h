// lmtpd/base/config/listen_spec.h -- one listener of the parameter `listen`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lmtpd/base/result.h"

namespace lmtpd {

// Whether clients are offered STARTTLS, and whether they get anywhere without it.
enum class TlsLevel : std::uint8_t { none, may, encrypt };

// What stands behind the address in braces: {inet:[::1]:24 tls=encrypt auth=yes proxy=yes}. Of
// inet: and inets: only; what an option leaves out a parameter decides.
struct ListenOptions {
  std::optional<TlsLevel> tls;
  std::optional<bool> auth;  // whether clients have to authenticate
  bool proxy = false;        // whether each connection begins with a PROXY header
  bool operator==(const ListenOptions&) const = default;
};

struct ListenSpec {
  enum class Kind { unix_socket, inet, inets };
  Kind kind = Kind::unix_socket;
  std::string path;        // unix: absolute, at most kLongestSocketPath octets
  std::string host;        // inet, inets: a name, an address without brackets, or "*" for all
  std::uint16_t port = 0;  // inet, inets
  ListenOptions options;
  std::string text;  // as the configuration has it

  [[nodiscard]] bool same_place(const ListenSpec& other) const {
    return path == other.path && host == other.host && port == other.port;
  }
  // Clients find the same by either.
  [[nodiscard]] bool same_service(const ListenSpec& other) const {
    return kind == other.kind && options == other.options;
  }
  bool operator==(const ListenSpec&) const = default;
};

}  // namespace lmtpd
