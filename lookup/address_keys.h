// lookup/address_keys.h -- an address as tables know it: its extension, and the keys it is looked
// up by.
//
// The order of the keys is that of Postfix's mail_addr_find(3); what an extension is, that of
// its split_addr(3).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lmtpd::lookup {

// An address with its quoting undone. Unlike lmtpd::Address it may come from a table, which may
// hold anything: a local part with an @, no domain.
struct PlainAddress {
  std::string local_part;
  std::string domain;  // empty: none

  // "local_part@domain" as it is, and with the local part quoted where that is needed.
  [[nodiscard]] std::string internal() const;
  [[nodiscard]] std::string external() const;
  bool operator==(const PlainAddress&) const = default;
};

struct ExtensionRules {
  std::string delimiters = "+";  // recipient_delimiter: a set of characters
  bool owner_request_special = true;
};

// Where the extension of `local_part` begins, at its delimiter; npos if it has none.
[[nodiscard]] std::size_t extension_start(std::string_view local_part, const ExtensionRules& rules);

struct AddressKey {
  enum class Kind {
    full,        // user+ext@domain
    base,        // user@domain, where there is an extension
    full_local,  // user+ext: only asked for if the domain is a local one (is_local())
    base_local,  // user: the same
    domain,      // @domain
  };
  Kind kind;
  std::string external;  // folded, the local part quoted where that is needed
  std::string internal;  // folded, unquoted; empty where that is the same, or no key of its own

  // Whether it names one address: the key of a catch-all or of a local user does not.
  [[nodiscard]] bool is_address() const { return kind == Kind::full || kind == Kind::base; }
  [[nodiscard]] bool is_local() const {
    return kind == Kind::full_local || kind == Kind::base_local;
  }
  // "@domain", for all who have no row of their own.
  [[nodiscard]] bool is_catch_all() const { return external.starts_with('@'); }
  // Whether an extension was left out of it.
  [[nodiscard]] bool leaves_extension() const {
    return kind == Kind::base || kind == Kind::base_local;
  }
};

// Most specific first. `address` has a domain.
[[nodiscard]] std::vector<AddressKey> address_keys(const PlainAddress& address,
                                                   const ExtensionRules& rules);

// The keys of a transport table, most specific first (transport(5)).
[[nodiscard]] std::vector<AddressKey> transport_keys(const PlainAddress& address,
                                                     const ExtensionRules& rules);

}  // namespace lmtpd::lookup
