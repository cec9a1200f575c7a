#include "lookup/auth/stored_password.h"

#include <crypt.h>
#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "lmtpd/base/capitals.h"

namespace lmtpd::lookup {
namespace {

struct Scheme {
  std::string_view name;
  std::string_view prefix;  // that the hash begins with; crypt(5)
};
constexpr std::array kSchemes{
    Scheme{"CRYPT", ""},           Scheme{"BLF-CRYPT", "$2"},  Scheme{"SHA512-CRYPT", "$6$"},
    Scheme{"SHA256-CRYPT", "$5$"}, Scheme{"MD5-CRYPT", "$1$"}, Scheme{"DES-CRYPT", ""},
    Scheme{"MD5", "$1$"},  // Dovecot takes a bare MD5, in hexadecimal or base64, for it, too
};
constexpr std::size_t kDesSize = 13;
constexpr std::string_view kScram = "SCRAM-SHA-256";

// Dovecot's that are not taken. Only these are named: another word in braces may be a password.
constexpr std::array<std::string_view, 27> kRefused{
    "PLAIN",    "CLEAR",    "CLEARTEXT",  "PLAIN-TRUNC", "PLAIN-MD4", "PLAIN-MD5",  "SHA",
    "SHA1",     "SSHA",     "SHA256",     "SSHA256",     "SHA512",    "SSHA512",    "SMD5",
    "LDAP-MD5", "CRAM-MD5", "DIGEST-MD5", "HMAC-MD5",    "LANMAN",    "NTLM",       "OTP",
    "RPA",      "SKEY",     "ARGON2I",    "ARGON2ID",    "PBKDF2",    "SCRAM-SHA-1"};

bool is_hash_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '/';
}

// The hashes without a `$`: crypt_r(3) takes any word for the salt of one. DES has 13 characters,
// bigcrypt 11 more for each further 8 of the password, BSDi's 20 with an underscore in front.
bool is_des(std::string_view hash) {
  if (hash.starts_with('_')) {
    return hash.size() == 20 && std::ranges::all_of(hash.substr(1), is_hash_character);
  }
  return hash.size() >= kDesSize && hash.size() <= 178 && (hash.size() - 2) % 11 == 0 &&
         std::ranges::all_of(hash, is_hash_character);
}

// The hashes with a `$`.
struct Method {
  enum class Cost {
    none,    // or of each hash its own, within a range: the prefix stands for all
    field,   // behind the prefix, up to the next dollar
    rounds,  // the same, where it begins with "rounds="
    eleven_characters,
  };
  std::string_view prefix;
  std::size_t digest;  // characters behind the last dollar
  Cost cost;
};
constexpr std::array kMethods{
    Method{"$y$", 43, Method::Cost::field},
    Method{"$gy$", 43, Method::Cost::field},
    Method{"$7$", 43, Method::Cost::eleven_characters},
    Method{"$2a$", 53, Method::Cost::field},
    Method{"$2b$", 53, Method::Cost::field},
    Method{"$2x$", 53, Method::Cost::field},
    Method{"$2y$", 53, Method::Cost::field},
    Method{"$6$", 86, Method::Cost::rounds},
    Method{"$5$", 43, Method::Cost::rounds},
    Method{"$sha1$", 28, Method::Cost::none},
    Method{"$md5", 22, Method::Cost::none},
    Method{"$1$", 22, Method::Cost::none},
    Method{"$3$", 32, Method::Cost::none},
};
constexpr std::string_view kRounds = "rounds=";

const Method* method_of(std::string_view hash) {
  const auto* const found = std::ranges::find_if(
      kMethods, [&](const Method& method) { return hash.starts_with(method.prefix); });
  return found == kMethods.end() ? nullptr : found;
}

// Of one that was cut off crypt_r(3) makes nothing, and at once.
bool is_whole(std::string_view hash) {
  const Method* const method = method_of(hash);
  const std::size_t digest = hash.rfind('$') + 1;
  return method != nullptr && digest > method->prefix.size() &&
         hash.size() - digest == method->digest &&
         std::ranges::all_of(hash.substr(digest), is_hash_character);
}

bool is_crypt(const std::string& hash) {
  if (hash.starts_with('$') ? !is_whole(hash) : !is_des(hash)) return false;
  // A hash that ought not to be made any more (legacy, too cheap) is still there to be checked.
  const int verdict = crypt_checksalt(hash.c_str());
  return verdict != CRYPT_SALT_INVALID && verdict != CRYPT_SALT_METHOD_DISABLED;
}

Result<StoredPassword> no_hash(std::string_view what) {
  return fail(Reason::bad_mailbox, fmt::format("{} is no hash that crypt(5) knows", what));
}

std::string crypt_kind(const std::string& hash) {
  if (hash.starts_with('_')) return hash.substr(0, 5);  // with the rounds
  if (!hash.starts_with('$')) return hash.size() == kDesSize ? "DES" : "bigcrypt";
  const Method& method = *method_of(hash);
  const std::size_t size = method.prefix.size();
  switch (method.cost) {
    case Method::Cost::none:
      break;
    case Method::Cost::eleven_characters:
      return hash.substr(0, size + 11);
    case Method::Cost::rounds:
      if (hash.compare(size, kRounds.size(), kRounds) != 0) break;
      [[fallthrough]];
    case Method::Cost::field:
      return hash.substr(0, hash.find('$', size));
  }
  return std::string(method.prefix);
}

struct CryptDataDeleter {
  void operator()(crypt_data* data) const {
    OPENSSL_cleanse(data, sizeof *data);
    delete data;
  }
};

bool matches_crypt(const std::string& hash, std::string_view password) {
  // A password ends at its first NUL for crypt_r(3): what follows would not count.
  if (password.find('\0') != std::string_view::npos) password = {};
  const std::unique_ptr<crypt_data, CryptDataDeleter> data(new crypt_data{});
  std::string phrase(password);
  const char* const made = crypt_r(phrase.c_str(), hash.c_str(), data.get());
  const bool given = !phrase.empty();
  OPENSSL_cleanse(phrase.data(), phrase.size());
  // Failure tokens begin with `*`, and no hash does.
  return given && made != nullptr && made[0] != '*' &&
         hash.size() == std::string_view(made).size() &&
         CRYPTO_memcmp(hash.data(), made, hash.size()) == 0;
}

}  // namespace

Result<StoredPassword> StoredPassword::parse(std::string_view text) {
  const std::size_t close = text.find('}');
  if (!text.starts_with('{') || close == std::string_view::npos) {
    std::string hash(text);
    if (!is_crypt(hash)) return no_hash("the stored password, without a {SCHEME},");
    return StoredPassword(std::move(hash));
  }
  const std::string name = capitals(text.substr(1, close - 1));
  const std::string_view rest = text.substr(close + 1);
  if (name == kScram) {
    std::optional<ScramVerifier> verifier = ScramVerifier::parse(rest);
    if (verifier) return StoredPassword(*std::move(verifier));
    return fail(Reason::bad_mailbox,
                "what stands behind {SCRAM-SHA-256} is not iterations,salt,stored,server");
  }
  const auto* const scheme = std::ranges::find(kSchemes, name, &Scheme::name);
  if (scheme == kSchemes.end()) {
    const bool is_name = std::ranges::find(kRefused, name) != kRefused.end();
    return fail(Reason::bad_mailbox,
                fmt::format("the scheme {} of the stored password is not supported",
                            is_name ? "{" + name + "}" : "in braces"));
  }
  std::string hash(rest);
  const bool fits = hash.starts_with(scheme->prefix) && (name != "DES-CRYPT" || is_des(hash));
  if (!fits || !is_crypt(hash)) return no_hash(fmt::format("what stands behind {{{}}}", name));
  return StoredPassword(std::move(hash));
}

std::string StoredPassword::kind() const {
  if (const ScramVerifier* verifier = scram()) {
    return fmt::format("{{{}}}{},{}", kScram, verifier->iterations, verifier->salt.size());
  }
  return crypt_kind(std::get<std::string>(secret_));
}

bool StoredPassword::matches(std::string_view password) const {
  if (const ScramVerifier* verifier = scram()) return verifier->matches(password);
  return matches_crypt(std::get<std::string>(secret_), password);
}

}  // namespace lmtpd::lookup
