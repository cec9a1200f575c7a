#include "lookup/check/listing_query.h"

#include <fmt/format.h>

#include <regex>

namespace lmtpd::lookup {
namespace {

// Without a %% that means itself; nullopt where any other % but that of one '%s' is left.
std::optional<std::string> with_one_placeholder(std::string_view query) {
  std::string text;
  int placeholders = 0;
  for (std::size_t at = 0; at < query.size(); ++at) {
    if (query[at] != '%') {
      text += query[at];
      continue;
    }
    if (at + 1 == query.size()) return std::nullopt;
    const char kind = query[++at];
    if (kind == '%') {
      text += '%';
      continue;
    }
    const bool is_alone = text.ends_with('\'') && at + 1 < query.size() && query[at + 1] == '\'';
    if ((kind != 's' && kind != 'S') || !is_alone || ++placeholders > 1) return std::nullopt;
    text += '\1';
  }
  if (placeholders == 0) return std::nullopt;
  return text;
}

}  // namespace

std::optional<std::string> listing_query(std::string_view query) {
  const std::optional<std::string> text = with_one_placeholder(query);
  if (!text) return std::nullopt;
  constexpr auto kFlags = std::regex::ECMAScript | std::regex::icase;
  static const std::regex kOther(
      R"(\b(union|intersect|except|limit|offset|fetch|group|having|distinct|with)\b|;)", kFlags);
  if (std::regex_search(*text, kOther)) return std::nullopt;
  static const std::regex kForm(
      R"re(^\s*select\s+([\s\S]+?)\s+(from\s+[\s\S]+?\swhere\s[\s\S]*?)([\w."]+)\s*=\s*'\x01'([\s\S]*)$)re",
      kFlags);
  std::smatch match;
  if (!std::regex_match(*text, match, kForm)) return std::nullopt;
  const std::string column = match[3];
  return fmt::format("SELECT {}, {} {}{} IS NOT NULL{}", column, match[1].str(), match[2].str(),
                     column, match[4].str());
}

}  // namespace lmtpd::lookup
