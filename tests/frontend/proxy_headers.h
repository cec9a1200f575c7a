// tests/frontend/proxy_headers.h -- PROXY headers of version 2, put together piece by piece.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lmtpd::frontend {

inline constexpr char kProxyCommand = 0x21;
inline constexpr char kLocalCommand = 0x20;
inline constexpr char kTcp4Family = 0x11;
inline constexpr char kTcp6Family = 0x21;
inline constexpr char kUnixFamily = 0x31;

inline std::string number16(std::size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xFF)};
}

// `length`: what the header says of the octets behind it.
inline std::string proxy_header(char command, char family, const std::string& behind,
                                std::size_t length) {
  return std::string("\r\n\r\n\0\r\nQUIT\n", 12) + command + family + number16(length) + behind;
}
inline std::string proxy_header(char command, char family, const std::string& behind) {
  return proxy_header(command, family, behind, behind.size());
}

inline std::string tlv(char type, const std::string& value) {
  return type + number16(value.size()) + value;
}

// 192.0.2.7:25001 to 192.0.2.1:24.
inline std::string tcp4_addresses() {
  return std::string("\xC0\0\x02\x07\xC0\0\x02\x01", 8) + number16(25001) + number16(24);
}

// [2001:db8::7]:25001 to [2001:db8::1]:24.
inline std::string tcp6_addresses() {
  const std::string net("\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0", 15);
  return net + '\x07' + net + '\x01' + number16(25001) + number16(24);
}

inline std::string unix_addresses() { return "/run/client" + std::string(216 - 11, '\0'); }

}  // namespace lmtpd::frontend
