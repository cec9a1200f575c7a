#include "lmtpd/session/path_parser.h"

#include <algorithm>

#include "lmtpd/base/capitals.h"
#include "lmtpd/session/words.h"

namespace lmtpd::session {
namespace {

// Where `stop` first stands outside of a quoted string; npos if nowhere.
std::size_t find_unquoted(std::string_view text, char stop) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[i] == stop) {
      return i;
    }
  }
  return std::string_view::npos;
}

// `<@a,@b:user@c>`: what stands behind the route. Its colon is the first one: a quoted local part
// stands behind it. A route with nothing behind it stays, and is refused as an address: what is
// empty would be the null sender.
std::string_view without_source_route(std::string_view path) {
  if (!path.starts_with('@')) return path;
  const std::size_t colon = path.find(':');
  // An IPv6 literal would hold colons; no route was ever written with one.
  return colon >= path.size() - 1 ? path : path.substr(colon + 1);
}

}  // namespace

tl::expected<PathArgument, FixedReply> parse_path(std::string_view argument,
                                                  std::string_view keyword, bool strict,
                                                  const FixedReply& bad_address) {
  if (!equal_ignoring_case(argument.substr(0, keyword.size()), keyword)) {
    return tl::unexpected(kBadSyntax);
  }
  std::string_view rest = argument.substr(keyword.size());
  if (rest.starts_with(' ') && strict) return tl::unexpected(kBadSyntax);
  rest = without_leading_spaces(rest);
  if (rest.empty()) return tl::unexpected(kBadSyntax);

  if (!rest.starts_with('<')) {
    if (strict) return tl::unexpected(kBadSyntax);
    const std::size_t end = std::min(rest.size(), find_unquoted(rest, ' '));
    return PathArgument{without_source_route(rest.substr(0, end)),
                        without_leading_spaces(rest.substr(end))};
  }
  rest.remove_prefix(1);
  const std::size_t end = find_unquoted(rest, '>');
  if (end == std::string_view::npos) return tl::unexpected(bad_address);
  const std::string_view behind = rest.substr(end + 1);
  if (!behind.empty() && behind[0] != ' ') return tl::unexpected(bad_address);
  return PathArgument{without_source_route(rest.substr(0, end)), without_leading_spaces(behind)};
}

}  // namespace lmtpd::session
