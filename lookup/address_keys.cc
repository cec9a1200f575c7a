#include "lookup/address_keys.h"

#include "lmtpd/base/address.h"
#include "lookup/fold.h"

namespace lmtpd::lookup {
namespace {

using Kind = AddressKey::Kind;

// The internal form of an empty local part, "@domain", is the key of the catch-all, and no key at
// all without the domain.
AddressKey make_key(Kind kind, std::string_view folded_local_part, std::string_view at_domain) {
  std::string external = quote_local_part(folded_local_part);
  std::string internal;
  if (external != folded_local_part && !folded_local_part.empty()) {
    internal.append(folded_local_part).append(at_domain);
  }
  external.append(at_domain);
  return {kind, std::move(external), std::move(internal)};
}

AddressKey raw_key(std::string text) { return {Kind::domain, std::move(text), {}}; }

}  // namespace

std::string PlainAddress::internal() const {
  return domain.empty() ? local_part : local_part + "@" + domain;
}

std::string PlainAddress::external() const {
  std::string text = quote_local_part(local_part);
  if (!domain.empty()) text.append(1, '@').append(domain);
  return text;
}

std::size_t extension_start(std::string_view local_part, const ExtensionRules& rules) {
  constexpr auto kNone = std::string_view::npos;
  const std::size_t at = local_part.find_first_of(rules.delimiters);
  if (at == 0 || at == kNone) return kNone;
  const std::string folded = fold(local_part);
  if (folded == "postmaster" || folded == "mailer-daemon" || folded == "double-bounce") {
    return kNone;
  }
  if (rules.owner_request_special && rules.delimiters.find('-') != kNone) {
    constexpr std::string_view kRequest = "-request";
    if (folded.starts_with("owner-")) return kNone;
    if (folded.size() > kRequest.size() && folded.ends_with(kRequest)) return kNone;
  }
  return at;
}

std::vector<AddressKey> address_keys(const PlainAddress& address, const ExtensionRules& rules) {
  const std::string full = fold(address.local_part);
  const std::string at_domain = "@" + fold(address.domain);
  const std::size_t extension = extension_start(address.local_part, rules);
  const bool has_extension = extension != std::string::npos;
  const std::string base =
      has_extension ? fold(std::string_view(address.local_part).substr(0, extension)) : "";

  std::vector<AddressKey> keys;
  keys.reserve(5);
  keys.push_back(make_key(Kind::full, full, at_domain));
  if (has_extension) keys.push_back(make_key(Kind::base, base, at_domain));
  keys.push_back(make_key(Kind::full_local, full, ""));
  if (has_extension) keys.push_back(make_key(Kind::base_local, base, ""));
  keys.push_back(raw_key(at_domain));
  return keys;
}

std::vector<AddressKey> transport_keys(const PlainAddress& address, const ExtensionRules& rules) {
  std::vector<AddressKey> keys;
  for (AddressKey& key : address_keys(address, rules)) {
    if (key.is_address()) keys.push_back(std::move(key));
  }
  const std::string domain = fold(address.domain);
  keys.push_back(raw_key(domain));
  for (std::size_t dot = domain.find('.', 1); dot != std::string::npos;
       dot = domain.find('.', dot + 1)) {
    keys.push_back(raw_key(domain.substr(dot)));
  }
  keys.push_back(raw_key("*"));
  return keys;
}

}  // namespace lmtpd::lookup
