#include "lookup/check/row_rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "lmtpd/base/log.h"
#include "lmtpd/base/utf8.h"
#include "lookup/address_keys.h"
#include "lookup/auth/saslprep.h"
#include "lookup/fold.h"

namespace lmtpd::lookup {
namespace {

bool is_bare(std::string_view key) { return key.find('@') == std::string_view::npos; }

// Of a key that has a local part: aliases are asked for in the quoted form only.
std::string form_fault(TableRole role, std::string_view key) {
  if (key.ends_with("@")) return "never matches: no domain behind the @";
  if (key.starts_with('"') && !Address::parse(key)) {
    return "never matches: its quotes are not balanced";
  }
  const std::optional<Address> address = address_of_key(key);
  if (!address) return "never matches: no address is like that";
  if (address->external() == key) return {};
  if (role != TableRole::alias && !key.starts_with('"')) return {};
  return fmt::format("never matches: the key is asked for as <{}>", escaped(address->external()));
}

// Of a user's name, which is prepared and then folded before it is asked for.
std::string login_name_fault(std::string_view name) {
  const std::optional<std::string> prepared = saslprep(name);
  if (!prepared) return "never matches: no user's name is like that (RFC 4013)";
  const std::string asked = fold(*prepared);
  if (asked == name) return {};
  return fmt::format("never matches: a user's name is folded, it is asked for as <{}>",
                     escaped(asked));
}

}  // namespace

std::optional<Address> address_of_key(std::string_view key) {
  Result<Address> address = Address::parse(key);
  if (!address) {
    const std::size_t at = std::min(key.rfind('@'), key.size());
    const PlainAddress internal{std::string(key.substr(0, at)),
                                std::string(key.substr(std::min(at + 1, key.size())))};
    address = Address::parse(internal.external());
  }
  return address ? std::optional(*std::move(address)) : std::nullopt;
}

std::string key_fault(TableRole role, std::string_view key) {
  if (key.empty()) return "never matches: no key is empty";
  if (!valid_utf8(key)) return "never matches: it is not valid UTF-8";
  if (role == TableRole::password) return login_name_fault(key);
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (std::any_of(key.begin(), key.end(), is_control)) {
    return "never matches: it has a control character";
  }
  if (key.starts_with(' ') || key.ends_with(' ')) return "never matches: it has a blank at its end";
  const std::string folded = fold(key);
  if (folded != key) {
    return fmt::format("never matches: keys are folded, it is asked for as <{}>", escaped(folded));
  }
  if (key.find('@') != std::string_view::npos && key.ends_with('.')) {
    return "never matches: a domain is asked for without its final dot";
  }
  return is_bare(key) || key.starts_with('@') ? std::string() : form_fault(role, key);
}

std::vector<Finding> row_findings(TableRole role, const Row& row) {
  std::vector<Finding> findings;
  if (role == TableRole::password) return findings;  // PasswordCheck's
  for (const std::optional<std::string>& value : row.values) {
    if (!value) {
      findings.push_back({"has a NULL, which counts as no row"});
    } else if (value->empty()) {
      findings.push_back({"has an empty value, which counts as no row"});
    } else if (role == TableRole::mailbox && *value == "dummy" && !is_bare(row.key)) {
      findings.push_back(
          {"has a dummy row (a row of the transport table for an address?), which is no mailbox: "
           "Postfix defers mail for it, lmtpd unless there is a real row, too"});
    }
  }
  if (role == TableRole::transport && !is_bare(row.key)) {
    findings.push_back(
        {"is a transport row for an address: in the view of mailboxes it is a dummy"});
  }
  const bool may_be_domain = row.key.find('.') != std::string::npos;
  // A dummy is the view's way to list a domain, of one label, too.
  const bool has_mailbox =
      role == TableRole::mailbox && std::ranges::any_of(row.values, [](const auto& value) {
        return value && !value->empty() && *value != "dummy";
      });
  if (role == TableRole::alias && is_bare(row.key) && may_be_domain) {
    findings.push_back({.what =
                            "is a bare domain in an alias table: where virtual_alias_domains is "
                            "not set, Postfix takes it for an alias domain and refuses its "
                            "mailboxes",
                        .is_note = true});
  }
  if ((role == TableRole::alias || has_mailbox) && is_bare(row.key) && !may_be_domain) {
    findings.push_back(
        {"has no domain: it is asked for in domains of mydestination and myorigin only"});
  }
  return findings;
}

}  // namespace lmtpd::lookup
