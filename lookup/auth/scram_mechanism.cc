#include "lookup/auth/scram_mechanism.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "lmtpd/base/base64.h"
#include "lookup/auth/saslprep.h"

namespace lmtpd::lookup {
namespace {

// Cuts off what comes before the next comma.
std::string_view next_field(std::string_view& text) {
  const std::string_view field = text.substr(0, text.find(','));
  text.remove_prefix(std::min(text.size(), field.size() + 1));
  return field;
}

// RFC 5802 5.1: "=2C" is a comma, "=3D" an equals sign, and "=" is nothing else.
std::optional<std::string> decode_name(std::string_view text) {
  std::string name;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') {
      name += text[i];
      continue;
    }
    const std::string_view code = text.substr(i, 3);
    if (code != "=2C" && code != "=3D") return std::nullopt;
    name += code == "=2C" ? ',' : '=';
    i += 2;
  }
  return saslprep(name);
}

bool is_nonce(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '!' && c <= '~'; });
}

}  // namespace

MechanismStep ScramMechanism::refuse(std::string why) {
  state_ = State::over;
  return Refused{std::move(why)};
}

MechanismStep ScramMechanism::begin() { return Challenge{}; }

MechanismStep ScramMechanism::respond(std::string_view message) {
  switch (state_) {
    case State::first:
      return take_first(message);
    case State::final:
      return take_final(message);
    case State::acknowledgement:
      state_ = State::over;
      if (message.empty()) return Accepted{};
      return Refused{"an answer to the server's signature"};
    case State::verifier:
    case State::over:
      break;
  }
  return refuse("a message out of turn");
}

// gs2-header [m=...,] n=NAME,r=NONCE[,extensions]
MechanismStep ScramMechanism::take_first(std::string_view message) {
  std::string_view rest = message;
  const std::string_view binding = next_field(rest);
  if (binding.starts_with("p=")) return refuse("channel binding, which is not offered");
  if (binding != "n" && binding != "y") return refuse("a malformed GS2 header");
  const std::string_view acts_for = next_field(rest);
  gs2_header_ = message.substr(0, message.size() - rest.size());
  client_first_bare_ = rest;
  const std::string_view name = next_field(rest);
  if (name.starts_with("m=")) return refuse("an extension that is not known");
  const std::string_view nonce = next_field(rest);
  if (!name.starts_with("n=") || !nonce.starts_with("r=") || !is_nonce(nonce.substr(2)) ||
      nonce.size() > 2 + kLongestNonce) {
    return refuse("a malformed first message");
  }
  std::optional<std::string> user = decode_name(name.substr(2));
  if (!user || user->empty()) return refuse("a user name that is empty or not allowed");
  if (!acts_for.empty() &&
      (!acts_for.starts_with("a=") || decode_name(acts_for.substr(2)) != user)) {
    return refuse("acting for another user");
  }
  nonce_.insert(0, nonce.substr(2));
  state_ = State::verifier;
  return NeedVerifier{*std::move(user)};
}

MechanismStep ScramMechanism::use_verifier(const ScramVerifier& verifier) {
  if (state_ != State::verifier) return refuse("a verifier that was not asked for");
  verifier_ = verifier;
  server_first_ =
      fmt::format("r={},s={},i={}", nonce_, to_base64(verifier.salt), verifier.iterations);
  state_ = State::final;
  return Challenge{server_first_};
}

// c=GS2-HEADER,r=NONCE[,extensions],p=PROOF
MechanismStep ScramMechanism::take_final(std::string_view message) {
  const std::size_t proof_at = message.rfind(",p=");
  if (proof_at == std::string_view::npos) return refuse("a final message without a proof");
  const std::string_view without_proof = message.substr(0, proof_at);
  const std::optional<std::string> proof = from_base64(message.substr(proof_at + 3));
  std::string_view rest = without_proof;
  if (next_field(rest) != "c=" + to_base64(gs2_header_)) return refuse("another GS2 header");
  if (next_field(rest) != "r=" + nonce_) return refuse("another nonce");
  const std::string auth_message =
      fmt::format("{},{},{}", client_first_bare_, server_first_, without_proof);
  if (!proof || !verifier_.proves(*proof, auth_message)) return refuse("wrong password");
  state_ = State::acknowledgement;
  return Challenge{"v=" + to_base64(octets(verifier_.signature(auth_message)))};
}

}  // namespace lmtpd::lookup
