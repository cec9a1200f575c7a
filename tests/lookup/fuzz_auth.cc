// What a client may say in a SASL exchange, and what a site may have stored for a secret. The first
// octet chooses the exchange; behind it stand, with 0xFE between them, which UTF-8 has no use for,
// the stored secret and the client's messages.
//
// Every mechanism must keep to its header: nothing is checked that the client did not send, nothing
// follows the end. SCRAM must take the proof of a client that knows the password, whatever it sends
// beside it, and no message that differs from that one.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/base64.h"
#include "lmtpd/base/utf8.h"
#include "lookup/auth/mechanism.h"
#include "lookup/auth/scram_mechanism.h"
#include "lookup/auth/stored_password.h"

namespace {

using namespace lmtpd;
using namespace lmtpd::lookup;

constexpr std::string_view kPassword = "pencil";
constexpr std::string_view kNonce = "3rfcNHYJY1ZVvWVs7j";
constexpr std::uint32_t kMostIterations = 16;  // that are worth their time here

void must(bool holds) {
  if (!holds) std::abort();
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

template <class Step>
bool is(const MechanismStep& step) {
  return std::holds_alternative<Step>(step);
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find('\xFE');
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

void use_verifier(const ScramVerifier& verifier) {
  must(verifier.iterations > 0 && verifier.iterations <= ScramVerifier::kMostIterations);
  must(!verifier.salt.empty());
  const std::string text = std::to_string(verifier.iterations) + "," + to_base64(verifier.salt) +
                           "," + to_base64(octets(verifier.stored_key)) + "," +
                           to_base64(octets(verifier.server_key));
  const auto again = ScramVerifier::parse(text);
  must(again && again->iterations == verifier.iterations && again->salt == verifier.salt &&
       again->stored_key == verifier.stored_key && again->server_key == verifier.server_key);
}

void use_secret(std::string_view secret) {
  const Result<StoredPassword> stored = StoredPassword::parse(secret);
  if (!stored) {
    must(stored.error().reason == Reason::bad_mailbox);
    must(valid_utf8(stored.error().text) && std::ranges::none_of(stored.error().text, is_control));
    return;
  }
  must(!stored->kind().empty());
  if (const ScramVerifier* const verifier = stored->scram()) {
    use_verifier(*verifier);
    if (verifier->iterations <= kMostIterations) static_cast<void>(stored->matches(kPassword));
    return;
  }
  // DES alone cannot be told to take its time.
  const std::string_view hash = secret.substr(secret.find('}') + 1);
  if (hash.starts_with('$') || hash.starts_with('_')) return;
  static_cast<void>(stored->matches(kPassword));
  must(!stored->matches(hash));  // it is no clear text
}

void must_be_user(const std::string& name) {
  must(!name.empty() && valid_utf8(name) && std::ranges::none_of(name, is_control));
}

void must_be_over(Mechanism& mechanism) {
  must(is<Refused>(mechanism.respond({})));
  must(is<Refused>(mechanism.respond(std::string_view("\0u\0p", 4))));
  must(is<Refused>(mechanism.use_verifier({})));
}

void send_password(std::string_view name, const std::vector<std::string_view>& messages) {
  const auto mechanism = make_mechanism(name);
  must(is<Challenge>(mechanism->begin()));
  for (const std::string_view message : messages) {
    const MechanismStep step = mechanism->respond(message);
    if (is<Challenge>(step)) continue;
    if (const auto* const check = std::get_if<CheckPassword>(&step)) {
      must_be_user(check->user);
      must(!check->password.empty() && check->password.find('\0') == std::string::npos);
      must(message.ends_with(check->password));
    } else {
      must(is<Refused>(step));
    }
    return must_be_over(*mechanism);
  }
}

// A client that knows the password; of one iteration.
class KnowingClient {
 public:
  KnowingClient(std::string_view first, std::string_view salt) : first_(first) {
    const Digest salted =
        hmac_sha256(kPassword, std::string(salt) + std::string("\0\0\0\1", 4));  // RFC 8018 5.2
    client_key_ = hmac_sha256(octets(salted), "Client Key");
    server_key_ = hmac_sha256(octets(salted), "Server Key");
  }

  std::string final_message(const std::string& server_first, const ScramVerifier& verifier,
                            std::string_view extension) {
    const std::size_t bare = first_.find(',', first_.find(',') + 1) + 1;
    std::string message = "c=" + to_base64(first_.substr(0, bare)) + "," +
                          server_first.substr(0, server_first.find(','));
    if (!extension.empty()) message += "," + std::string(extension);
    auth_message_ = std::string(first_.substr(bare)) + "," + server_first + "," + message;
    Digest proof = hmac_sha256(octets(verifier.stored_key), auth_message_);
    for (std::size_t i = 0; i < proof.size(); ++i) proof[i] ^= client_key_[i];
    return message + ",p=" + to_base64(octets(proof));
  }
  [[nodiscard]] std::string signature() const {
    return "v=" + to_base64(octets(hmac_sha256(octets(server_key_), auth_message_)));
  }

 private:
  std::string_view first_;
  Digest client_key_{};
  Digest server_key_{};
  std::string auth_message_;
};

// What the server says to `first`; nullopt: it has refused.
std::optional<std::string> begin(ScramMechanism& scram, std::string_view first,
                                 const ScramVerifier& verifier) {
  const MechanismStep need = scram.respond(first);
  if (!is<NeedVerifier>(need)) {
    must(is<Refused>(need));
    must_be_over(scram);
    return std::nullopt;
  }
  must_be_user(std::get<NeedVerifier>(need).user);
  MechanismStep step = scram.use_verifier(verifier);
  must(is<Challenge>(step));
  return std::get<Challenge>(step).text;
}

void prove(std::string_view secret, const std::vector<std::string_view>& messages,
           std::size_t where) {
  constexpr std::size_t kPlaces = 64;
  const std::string_view salt = secret.empty() ? "salt" : secret;
  const ScramVerifier verifier = ScramVerifier::make(kPassword, salt, 1);
  KnowingClient client(messages[0], salt);
  const std::string_view extension = messages.size() > 1 ? messages[1] : std::string_view();
  for (const bool altered : {false, true}) {
    ScramMechanism scram{std::string(kNonce)};
    const auto server_first = begin(scram, messages[0], verifier);
    if (!server_first) return;
    std::string message = client.final_message(*server_first, verifier, extension);
    if (altered) message[where * message.size() / kPlaces] ^= 1;
    const MechanismStep step = scram.respond(message);
    if (altered) {
      must(is<Refused>(step));
    } else {
      must(is<Challenge>(step) && std::get<Challenge>(step).text == client.signature());
      must(is<Accepted>(scram.respond({})));
    }
    must_be_over(scram);
  }
}

// By a client that does not know the password: its secret is another's.
void guess(std::string_view secret, const std::vector<std::string_view>& messages) {
  const Result<StoredPassword> stored = StoredPassword::parse(secret);
  const ScramVerifier* const theirs = stored ? stored->scram() : nullptr;
  static const ScramVerifier ours = ScramVerifier::make(kPassword, "salt", 1);
  ScramMechanism scram{std::string(kNonce)};
  if (!begin(scram, messages[0], theirs == nullptr ? ours : *theirs) || messages.size() == 1)
    return;
  must(is<Refused>(scram.respond(messages[1])));
  must_be_over(scram);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::vector<std::string_view> messages =
      split({reinterpret_cast<const char*>(data) + 1, size - 1});
  const std::string_view secret = messages[0];
  messages.erase(messages.begin());
  use_secret(secret);
  if (messages.empty()) return 0;
  switch (data[0] & 3) {
    case 0:
      send_password(kPlain, messages);
      break;
    case 1:
      send_password(kLogin, messages);
      break;
    case 2:
      guess(secret, messages);
      break;
    default:
      prove(secret, messages, data[0] >> 2U);
  }
  return 0;
}
