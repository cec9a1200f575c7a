#include "lookup/auth/mechanism.h"

#include <sodium.h>

#include <array>

#include "lmtpd/base/base64.h"
#include "lookup/auth/password_mechanisms.h"
#include "lookup/auth/scram_mechanism.h"

namespace lmtpd::lookup {
namespace {

std::string make_nonce() {
  std::array<char, 18> random{};
  randombytes_buf(random.data(), random.size());
  return to_base64({random.data(), random.size()});
}

}  // namespace

std::unique_ptr<Mechanism> make_mechanism(std::string_view name) {
  if (name == kPlain) return std::make_unique<PlainMechanism>();
  if (name == kLogin) return std::make_unique<LoginMechanism>();
  if (name == kScramSha256) return std::make_unique<ScramMechanism>(make_nonce());
  return nullptr;
}

}  // namespace lmtpd::lookup
