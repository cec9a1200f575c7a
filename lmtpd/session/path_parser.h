// lmtpd/session/path_parser.h -- the argument of MAIL and RCPT up to the parameters (RFC
// 5321 4.1.2).
#pragma once

#include <string_view>
#include <tl/expected.hpp>

#include "lmtpd/session/reply.h"

namespace lmtpd::session {

struct PathArgument {
  std::string_view mailbox;     // between < and >, without a source route; unparsed
  std::string_view parameters;  // behind the path, without leading spaces
};

// `argument` is what follows the verb; `keyword` is "FROM:" or "TO:", taken in any case.
// A space after the colon and missing <> are taken unless `strict` (strict_rfc821_envelopes). A
// source route is ignored, as RFC 5321 appendix C asks. Fails with kBadSyntax where the command has
// not the form, with `bad_address` where the path ends in the wrong place.
[[nodiscard]] tl::expected<PathArgument, FixedReply> parse_path(std::string_view argument,
                                                                std::string_view keyword,
                                                                bool strict,
                                                                const FixedReply& bad_address);

}  // namespace lmtpd::session
