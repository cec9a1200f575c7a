// lmtpd/session/parameters.h -- the ESMTP parameters of MAIL and RCPT (RFC 5321 4.1.1.11), and the
// argument of BDAT.
//
// Taken on MAIL: SIZE (RFC 1870), BODY=7BIT and 8BITMIME (RFC 6152; both mean nothing to a store
// that keeps all octets) and BINARYMIME (RFC 3030), SMTPUTF8 (RFC 6531), and where AUTH is offered
// AUTH (RFC 4954 section 5: who first submitted the message; for the log alone). On RCPT: ORCPT
// (RFC 3461 4.2), though DSN is not offered, since it alone tells what the address was before
// Postfix expanded aliases. Fails with 501 5.5.4 for a bad or repeated parameter or a value of
// over 1000 octets, 555 5.5.4 for one that is not known.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "lmtpd/session/reply.h"

namespace lmtpd::session {

struct MailParameters {
  std::uint64_t size = 0;  // octets, 0: not declared; UINT64_MAX stands for anything larger
  bool binary = false;     // BODY=BINARYMIME
  bool smtputf8 = false;
  std::optional<std::string> submitter;  // AUTH's value, decoded; "<>": not known, or not trusted
};

struct RcptParameters {
  std::string original_recipient;  // ORCPT's address, decoded; empty if none, or not a mail address
};

// "86", "86 LAST" (RFC 3030 2).
struct Chunk {
  std::uint64_t octets = 0;  // below 2^63
  bool last = false;
};

[[nodiscard]] tl::expected<MailParameters, FixedReply> parse_mail_parameters(std::string_view text,
                                                                             bool takes_auth);
[[nodiscard]] tl::expected<RcptParameters, FixedReply> parse_rcpt_parameters(std::string_view text);
[[nodiscard]] tl::expected<Chunk, FixedReply> parse_chunk(std::string_view argument);

// ---- pieces, which attribute lists are made of as well (forwarding.h)

struct Parameter {
  std::string_view keyword;
  std::optional<std::string_view> value;
};

// Cuts the first of KEYWORD[=VALUE] words, with the spaces behind it, off `text`, which is not
// empty.
[[nodiscard]] tl::expected<Parameter, FixedReply> next_parameter(std::string_view& text);

// RFC 3461 section 4: printable ASCII but + and =, and +XX for the rest.
[[nodiscard]] std::optional<std::string> decode_xtext(std::string_view text);

}  // namespace lmtpd::session
