#include "lmtpd/base/address.h"

#include <algorithm>

#include "lmtpd/base/utf8.h"

namespace lmtpd {
namespace {

// Octets, as decoded: the external form, which is read again, may have others. RFC 5321 4.5.3.1.3
// has 256; Postfix takes so many of what an alias leads to (virtual_alias_address_length_limit).
constexpr std::size_t kLongest = 1000;

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// RFC 5322 3.2.3, less the dot, which a local part may hold in any place.
bool is_special(char c) {
  return std::string_view("()<>@,;:\\\"[]").find(c) != std::string_view::npos;
}

bool is_atom_text(char c) { return !is_special(c) && c != ' ' && !is_control(c); }

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(Reason::bad_address, "malformed address: " + std::string(what));
}

// Takes the local part off the front of `rest`, which is left at the @ or at its end. Quoted
// strings may stand beside atoms (RFC 5322 4.4, obs-local-part).
Result<std::string> take_local_part(std::string_view& rest) {
  std::string local_part;
  bool in_quotes = false;
  std::size_t at = 0;
  for (; at < rest.size(); ++at) {
    char c = rest[at];
    if (c == '"') {
      in_quotes = !in_quotes;
      continue;
    }
    if (!in_quotes) {
      if (c == '@') break;
      if (!is_atom_text(c)) return malformed("unquoted special, space or control character");
    } else if (c == '\\') {
      if (++at == rest.size()) break;
      c = rest[at];
    }
    if (is_control(c)) return malformed("control character");
    local_part += c;
  }
  if (in_quotes) return malformed("unbalanced quotes");
  if (at == 0) return malformed("no local part");
  rest.remove_prefix(at);
  return local_part;
}

// RFC 5321 4.1.3: an address literal may hold what no host name does.
bool is_address_literal(std::string_view domain) {
  if (domain.size() < 3 || domain.front() != '[' || domain.back() != ']') return false;
  const std::string_view inside = domain.substr(1, domain.size() - 2);
  return std::all_of(inside.begin(), inside.end(),
                     [](char c) { return is_atom_text(c) || c == ':'; });
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  if (!valid_utf8(text)) return fail(Reason::bad_utf8, "address is not valid UTF-8");
  if (text.empty()) return malformed("empty");

  std::string_view rest = text;
  Result<std::string> local_part = take_local_part(rest);
  if (!local_part) return tl::unexpected(std::move(local_part.error()));
  if (local_part->size() + rest.size() > kLongest) return malformed("over 1000 octets");
  if (rest.empty()) return Address(*std::move(local_part), "");

  std::string_view domain = rest.substr(1);
  // As Postfix: not of two dots, so that parsing the result again changes nothing.
  if (domain.ends_with('.') && !domain.ends_with("..")) domain.remove_suffix(1);
  if (domain.empty()) return malformed("empty domain");
  if (domain.find('@') != std::string_view::npos) return malformed("second @");
  if (!is_address_literal(domain) && !std::all_of(domain.begin(), domain.end(), is_atom_text)) {
    return malformed("special, space or control character in the domain");
  }
  return Address(*std::move(local_part), std::string(domain));
}

std::string Address::external() const {
  std::string text = quote_local_part(local_part_);
  if (!domain_.empty()) text.append(1, '@').append(domain_);
  return text;
}

std::string quote_local_part(std::string_view local_part) {
  const bool is_dot_string = !local_part.empty() && local_part.front() != '.' &&
                             local_part.back() != '.' &&
                             local_part.find("..") == std::string_view::npos &&
                             std::all_of(local_part.begin(), local_part.end(), is_atom_text);
  if (is_dot_string) return std::string(local_part);

  std::string quoted = "\"";
  for (const char c : local_part) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  quoted += '"';
  return quoted;
}

}  // namespace lmtpd
