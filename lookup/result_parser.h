// lookup/result_parser.h -- the addresses in what an alias table answers.
//
// The text is an RFC 822 address list as Postfix reads it (tok822_parse(3)): comma, semicolon and
// white space separate; display names, <...>, (comments) and `group: a, b;` are understood, empty
// members ignored. Each address is then completed as trivial-rewrite(8) does. Never fails:
// `|command`, `/file` and
// `:include:` mean nothing and are addresses like others.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lookup/address_keys.h"

namespace lmtpd::lookup {

struct RewriteRules {
  std::string origin;         // for an address without domain; empty: none is added
  std::string append_domain;  // for a domain without a dot; empty: none is added
  bool percent_hack = true;   // user%domain is user@domain
  std::string hostname;       // whose MAILER-DAEMON has the mail for the null address
};

// In the order of the text; empty if there is none in it.
[[nodiscard]] std::vector<PlainAddress> parse_result(std::string_view text,
                                                     const RewriteRules& rules);

}  // namespace lmtpd::lookup
