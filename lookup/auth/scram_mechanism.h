// lookup/auth/scram_mechanism.h -- SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding.
//
// The client shows that it knows the password, and the server that it has the verifier; neither
// sends one. Of the GS2 header `n` and `y` are taken (this server offers no -PLUS, so `y` is no
// sign of an attack); `p=` is refused, and so are an authorization identity other than the user's
// name and a mandatory extension (`m=`).
#pragma once

#include <string>

#include "lookup/auth/mechanism.h"

namespace lmtpd::lookup {

class ScramMechanism final : public Mechanism {
 public:
  // Octets, of the client's; RFC 5802 has no limit. The challenge repeats it, and has one.
  static constexpr std::size_t kLongestNonce = 1024;

  // `nonce`: the server's part, printable and without a comma, never used before.
  explicit ScramMechanism(std::string nonce) : nonce_(std::move(nonce)) {}

  [[nodiscard]] MechanismStep begin() override;
  [[nodiscard]] MechanismStep respond(std::string_view message) override;
  [[nodiscard]] MechanismStep use_verifier(const ScramVerifier& verifier) override;

 private:
  enum class State { first, verifier, final, acknowledgement, over };

  MechanismStep take_first(std::string_view message);
  MechanismStep take_final(std::string_view message);
  MechanismStep refuse(std::string why);

  State state_ = State::first;
  std::string nonce_;  // from take_first() on the client's and ours
  std::string gs2_header_;
  std::string client_first_bare_;
  std::string server_first_;
  ScramVerifier verifier_;
};

}  // namespace lmtpd::lookup
