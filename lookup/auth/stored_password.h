// lookup/auth/stored_password.h -- a password as a site's database keeps it.
//
// Taken: every hash that crypt(5) of libxcrypt lists, bare or behind Dovecot's {CRYPT},
// {BLF-CRYPT}, {SHA512-CRYPT}, {SHA256-CRYPT}, {MD5-CRYPT}, {MD5} or {DES-CRYPT} (in any case; all
// but the first say which hash must follow), and {SCRAM-SHA-256} (scram_verifier.h). Refused: a
// password in clear text, {PLAIN} or bare, a hash that was cut off, and every other scheme.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "lmtpd/base/result.h"
#include "lookup/auth/scram_verifier.h"

namespace lmtpd::lookup {

class StoredPassword {
 public:
  // Fails with bad_mailbox, in words that hold nothing of the secret.
  [[nodiscard]] static Result<StoredPassword> parse(std::string_view text);

  // Takes the time that the hash was made to take, whatever the password: for a thread, not for an
  // event loop. Any number of threads at a time.
  [[nodiscard]] bool matches(std::string_view password) const;

  // What the time of matches() depends on: a hash's setting without its salt (crypt(5)); for SCRAM
  // what it shows: the number of iterations and the length of the salt.
  [[nodiscard]] std::string kind() const;

  // nullptr: a hash of crypt(5), which SCRAM cannot use.
  [[nodiscard]] const ScramVerifier* scram() const { return std::get_if<ScramVerifier>(&secret_); }

 private:
  using Secret = std::variant<std::string, ScramVerifier>;  // a string: crypt(5)'s
  explicit StoredPassword(Secret secret) : secret_(std::move(secret)) {}

  Secret secret_;
};

}  // namespace lmtpd::lookup
