#include "lookup/check/row_rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "lmtpd/base/address.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/utf8.h"
#include "lookup/fold.h"

namespace lmtpd::lookup {
namespace {

bool is_bare(std::string_view key) { return key.find('@') == std::string_view::npos; }

// The local part's quotes, where it needs none or others.
std::string quoting_fault(std::string_view key) {
  const std::size_t at = key.rfind('@');
  if (at == std::string_view::npos || at == 0) return {};
  if (key.ends_with("@")) return "never matches: no domain behind the @";
  if (!key.starts_with('"')) return {};
  const Result<Address> address = Address::parse(key);
  if (!address) return "never matches: its quotes are not balanced";
  if (address->external() == key) return {};
  return fmt::format("never matches: the key is asked for as <{}>", escaped(address->external()));
}

}  // namespace

std::string key_fault(std::string_view key) {
  if (key.empty()) return "never matches: no key is empty";
  if (!valid_utf8(key)) return "never matches: it is not valid UTF-8";
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
  return quoting_fault(key);
}

std::vector<std::string> row_faults(TableRole role, const Row& row) {
  std::vector<std::string> faults;
  for (const std::optional<std::string>& value : row.values) {
    if (!value) {
      faults.emplace_back("has a NULL, which counts as no row");
    } else if (value->empty()) {
      faults.emplace_back("has an empty value, which counts as no row");
    } else if (role == TableRole::mailbox && *value == "dummy" && !is_bare(row.key)) {
      faults.emplace_back(
          "has a dummy row (a row of the transport table for an address?), which is no mailbox: "
          "Postfix defers mail for it, lmtpd unless there is a real row, too");
    }
  }
  if (role == TableRole::transport && !is_bare(row.key)) {
    faults.emplace_back(
        "is a transport row for an address: in the view of mailboxes it is a dummy");
  }
  if (role == TableRole::alias && is_bare(row.key)) {
    faults.emplace_back(
        row.key.find('.') != std::string::npos
            ? "is a bare domain in an alias table: Postfix takes it for an alias domain and "
              "refuses "
              "its mailboxes"
            : "has no domain: it is asked for in domains of mydestination and myorigin only");
  }
  return faults;
}

}  // namespace lmtpd::lookup
