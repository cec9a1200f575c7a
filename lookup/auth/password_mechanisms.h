// lookup/auth/password_mechanisms.h -- the mechanisms that send the password itself: PLAIN (RFC
// 4616) and LOGIN (no standard; draft-murchison-sasl-login).
//
// Nobody acts for somebody else: an authorization identity is taken only where it equals the user's
// name. Refused as malformed, whoever the user is: an empty name or password, and a NUL in either.
#pragma once

#include <optional>
#include <string>

#include "lookup/auth/mechanism.h"

namespace lmtpd::lookup {

class PlainMechanism final : public Mechanism {
 public:
  [[nodiscard]] MechanismStep begin() override { return Challenge{}; }
  [[nodiscard]] MechanismStep respond(std::string_view message) override;

 private:
  bool over_ = false;
};

class LoginMechanism final : public Mechanism {
 public:
  [[nodiscard]] MechanismStep begin() override { return Challenge{"Username:"}; }
  [[nodiscard]] MechanismStep respond(std::string_view message) override;

 private:
  std::optional<std::string> user_;
  bool over_ = false;
};

}  // namespace lmtpd::lookup
