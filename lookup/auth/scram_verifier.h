// lookup/auth/scram_verifier.h -- what a server keeps of a password for SCRAM-SHA-256 (RFC 5802,
// RFC 7677), and the mechanism's arithmetic.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lmtpd::lookup {

using Digest = std::array<unsigned char, 32>;  // of SHA-256

[[nodiscard]] Digest hmac_sha256(std::string_view key, std::string_view text);
[[nodiscard]] inline std::string_view octets(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

struct ScramVerifier {
  static constexpr std::uint32_t kMostIterations = 10'000'000;
  static constexpr std::size_t kLongestSalt = 1024;  // octets

  std::uint32_t iterations = 0;
  std::string salt;
  Digest stored_key{};
  Digest server_key{};

  // "iterations,salt,stored key,server key", the last three in base64: what Dovecot keeps behind
  // {SCRAM-SHA-256}.
  [[nodiscard]] static std::optional<ScramVerifier> parse(std::string_view text);
  // Of a password. Slow on purpose.
  [[nodiscard]] static ScramVerifier make(std::string_view password, std::string_view salt,
                                          std::uint32_t iterations);

  // Was it made of this password? Slow on purpose, in constant time otherwise.
  [[nodiscard]] bool matches(std::string_view password) const;
  // The client's proof (32 octets) shows that it knows the password.
  [[nodiscard]] bool proves(std::string_view proof, std::string_view auth_message) const;
  // The server's own (RFC 5802's ServerSignature).
  [[nodiscard]] Digest signature(std::string_view auth_message) const;
};

}  // namespace lmtpd::lookup
