// lookup/auth/mechanism.h -- a SASL mechanism's server side (RFC 4422), sans-I/O: messages in,
// steps out.
//
// A mechanism asks for nothing and knows no user: it says what is to be done next, and whoever runs
// it does that. A message that comes out of turn, or after Accepted or Refused, is Refused.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lookup/auth/scram_verifier.h"

namespace lmtpd::lookup {

// Send this to the client; its response comes next.
struct Challenge {
  std::string text;
};
// Check this password of this user's; the exchange is over.
struct CheckPassword {
  std::string user;
  std::string password;
};
// use_verifier() comes next, with this user's or, if there is no such user, with one that fits
// nobody.
struct NeedVerifier {
  std::string user;
};
struct Accepted {};
// `why` is for the log; it names no secret.
struct Refused {
  std::string why;
};
using MechanismStep = std::variant<Challenge, CheckPassword, NeedVerifier, Accepted, Refused>;

class Mechanism {
 public:
  virtual ~Mechanism() = default;
  // The client sent no initial response.
  [[nodiscard]] virtual MechanismStep begin() = 0;
  [[nodiscard]] virtual MechanismStep respond(std::string_view message) = 0;
  [[nodiscard]] virtual MechanismStep use_verifier(const ScramVerifier&) {
    return Refused{"a verifier that was not asked for"};
  }
};

inline constexpr std::string_view kPlain = "PLAIN";
inline constexpr std::string_view kLogin = "LOGIN";
inline constexpr std::string_view kScramSha256 = "SCRAM-SHA-256";

// nullptr: there is none of that name, which is in capitals.
[[nodiscard]] std::unique_ptr<Mechanism> make_mechanism(std::string_view name);

}  // namespace lmtpd::lookup
