#include "lookup/auth/scram_verifier.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <charconv>
#include <new>
#include <vector>

#include "lmtpd/base/base64.h"
#include "lookup/auth/saslprep.h"

namespace lmtpd::lookup {
namespace {

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Digest sha256(const Digest& text) {
  Digest digest{};
  SHA256(text.data(), text.size(), digest.data());
  return digest;
}

bool equal(const Digest& one, const Digest& other) {
  return CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

bool read_digest(std::string_view text, Digest& digest) {
  const std::optional<std::string> decoded = from_base64(text);
  if (!decoded || decoded->size() != digest.size()) return false;
  std::copy(decoded->begin(), decoded->end(), digest.begin());
  return true;
}

}  // namespace

Digest hmac_sha256(std::string_view key, std::string_view text) {
  Digest digest{};
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes(text), text.size(),
           digest.data(), &size) == nullptr) {
    throw std::bad_alloc();  // nothing else can fail
  }
  return digest;
}

std::optional<ScramVerifier> ScramVerifier::parse(std::string_view text) {
  std::array<std::string_view, 4> fields;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::size_t comma = text.find(',');
    if ((comma == std::string_view::npos) != (i + 1 == fields.size())) return std::nullopt;
    fields[i] = text.substr(0, comma);
    text.remove_prefix(std::min(text.size(), fields[i].size() + 1));
  }
  ScramVerifier verifier;
  const char* const end = fields[0].data() + fields[0].size();
  const auto number = std::from_chars(fields[0].data(), end, verifier.iterations);
  std::optional<std::string> salt = from_base64(fields[1]);
  if (number.ec != std::errc() || number.ptr != end || verifier.iterations == 0 ||
      verifier.iterations > kMostIterations || !salt || salt->empty() ||
      salt->size() > kLongestSalt || !read_digest(fields[2], verifier.stored_key) ||
      !read_digest(fields[3], verifier.server_key)) {
    return std::nullopt;
  }
  verifier.salt = *std::move(salt);
  return verifier;
}

ScramVerifier ScramVerifier::make(std::string_view password, std::string_view salt,
                                  std::uint32_t iterations) {
  // What cannot be prepared stands for itself, as in PostgreSQL: a verifier may have been made of
  // octets in another character set.
  const std::string prepared = saslprep(password).value_or(std::string(password));
  Digest salted{};
  if (PKCS5_PBKDF2_HMAC(prepared.data(), static_cast<int>(prepared.size()), bytes(salt),
                        static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(),
                        static_cast<int>(salted.size()), salted.data()) != 1) {
    throw std::bad_alloc();
  }
  ScramVerifier verifier{.iterations = iterations, .salt = std::string(salt)};
  verifier.stored_key = sha256(hmac_sha256(octets(salted), "Client Key"));
  verifier.server_key = hmac_sha256(octets(salted), "Server Key");
  OPENSSL_cleanse(salted.data(), salted.size());
  return verifier;
}

bool ScramVerifier::matches(std::string_view password) const {
  return equal(make(password, salt, iterations).stored_key, stored_key);
}

bool ScramVerifier::proves(std::string_view proof, std::string_view auth_message) const {
  Digest client_key = hmac_sha256(octets(stored_key), auth_message);
  if (proof.size() != client_key.size()) return false;
  for (std::size_t i = 0; i < client_key.size(); ++i) client_key[i] ^= bytes(proof)[i];
  return equal(sha256(client_key), stored_key);
}

Digest ScramVerifier::signature(std::string_view auth_message) const {
  return hmac_sha256(octets(server_key), auth_message);
}

}  // namespace lmtpd::lookup
