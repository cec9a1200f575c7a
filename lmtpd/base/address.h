// lmtpd/base/address.h -- a mail address: local part and domain, quoting undone.
//
// The syntax is RFC 5321 4.1.2 where it matters, and Postfix's leniency elsewhere: dots at the ends
// of a local part or doubled, up to 1000 octets without quotes and backslashes, one trailing dot of
// the domain (dropped), no domain at all.
#pragma once

#include <string>
#include <string_view>

#include "lmtpd/base/result.h"

namespace lmtpd {

class Address {
 public:
  // `text` is what stands between < and >, without a source route.
  // Fails with bad_address (an unquoted special, space, control or second @, unbalanced quotes, an
  // empty domain behind @, nothing at all, too long) or bad_utf8.
  [[nodiscard]] static Result<Address> parse(std::string_view text);

  // With quotes and backslashes undone; may be empty (`""@domain`).
  [[nodiscard]] const std::string& local_part() const { return local_part_; }
  // As spelt, without one trailing dot; empty where the address has none.
  [[nodiscard]] const std::string& domain() const { return domain_; }
  // The external form: the local part quoted where it is not a dot-string (RFC 5322 3.4.1).
  [[nodiscard]] std::string external() const;

 private:
  Address(std::string local_part, std::string domain)
      : local_part_(std::move(local_part)), domain_(std::move(domain)) {}
  std::string local_part_;
  std::string domain_;
};

// `local_part` as it stands in an external address.
[[nodiscard]] std::string quote_local_part(std::string_view local_part);

}  // namespace lmtpd
