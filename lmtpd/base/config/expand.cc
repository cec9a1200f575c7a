// The grammar is that of Postfix's mac_parse(3) and mac_expand(3); tests/config/postconf_test.cc
// compares with the real one.
#include "lmtpd/base/config/expand.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace lmtpd {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr int kDeepest = 50;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

std::string_view without_leading_blanks(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text;
}

std::string excerpt(std::string_view text) {
  return std::string(text.substr(0, 40)) + (text.size() > 40 ? "..." : "");
}

// A compatibility level, `major[.minor[.patch]]`.
std::optional<std::array<unsigned, 3>> parse_level(std::string_view text) {
  std::array<unsigned, 3> level{};
  for (std::size_t i = 0;; ++i) {
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    const auto [stop, error] = std::from_chars(begin, end, level[i]);
    if (error != std::errc() || level[i] > 9999) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(stop - begin));
    if (text.empty()) return level;
    if (text.front() != '.' || i == 2) return std::nullopt;
    text.remove_prefix(1);
  }
}

// Two numbers as numbers, anything else octet by octet.
std::strong_ordering compare(std::string_view left, std::string_view right) {
  const auto number = [](std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
  };
  if (number(left) && number(right)) {
    left.remove_prefix(std::min(left.find_first_not_of('0'), left.size()));
    right.remove_prefix(std::min(right.find_first_not_of('0'), right.size()));
    if (left.size() != right.size()) return left.size() <=> right.size();
  }
  return left.compare(right) <=> 0;
}

std::optional<bool> holds(std::string_view relation, std::strong_ordering order) {
  if (relation == "==") return order == 0;
  if (relation == "!=") return order != 0;
  if (relation == "<") return order < 0;
  if (relation == "<=") return order <= 0;
  if (relation == ">=") return order >= 0;
  if (relation == ">") return order > 0;
  return std::nullopt;
}

class Expansion {
 public:
  // Without a lookup, everything is parsed and names are only noted.
  explicit Expansion(const LookupName* lookup) : lookup_(lookup) {}

  Expanded<std::string> text(std::string_view rest, int depth) {
    if (depth > kDeepest) return tl::unexpected(std::string("nested too deeply"));
    std::string out;
    while (!rest.empty()) {
      const std::size_t literal = std::min(rest.find('$'), rest.size());
      out += rest.substr(0, literal);
      rest.remove_prefix(literal);
      if (rest.empty()) break;
      if (rest.starts_with("$$")) {
        out += '$';
        rest.remove_prefix(2);
        continue;
      }
      const auto body = take_reference(rest);
      if (!body) return tl::unexpected(body.error());
      auto value = reference(*body, depth);
      if (!value) return value;
      out += *value;
      if (out.size() > kLongestValue) {
        return tl::unexpected(fmt::format("longer than {} octets when expanded", kLongestValue));
      }
    }
    return out;
  }

  std::vector<std::string> take_names() { return std::move(names_); }

 private:
  // What stands between the braces, or behind the bare `$`.
  static Expanded<std::string_view> take_reference(std::string_view& rest) {
    const std::string_view whole = rest;
    rest.remove_prefix(1);
    std::string_view body;
    if (rest.starts_with('{') || rest.starts_with('(')) {
      const char open = rest.front();
      const char close = open == '{' ? '}' : ')';
      std::size_t level = 0;
      std::size_t end = 0;
      for (; end < rest.size(); ++end) {
        if (rest[end] == open) ++level;
        if (rest[end] == close && --level == 0) break;
      }
      if (end == rest.size()) {
        return tl::unexpected(fmt::format("\"{}\" is not closed", excerpt(whole)));
      }
      body = rest.substr(1, end - 1);
      rest.remove_prefix(end + 1);
    } else {
      std::size_t end = 0;
      while (end < rest.size() && is_name(rest[end])) ++end;
      body = rest.substr(0, end);
      rest.remove_prefix(end);
    }
    if (body.empty()) {
      return tl::unexpected(fmt::format(
          "\"{}\" names no parameter (a plain dollar sign is written $$)", excerpt(whole)));
    }
    return body;
  }

  // The payload of `{...}` that `rest` begins with, blanks behind the brace dropped.
  static Expanded<std::string_view> take_braced(std::string_view& rest) {
    std::size_t level = 0;
    for (std::size_t i = 0; i < rest.size(); ++i) {
      if (rest[i] == '{') ++level;
      if (rest[i] == '}' && --level == 0) {
        const std::string_view payload = rest.substr(1, i - 1);
        rest = without_leading_blanks(rest.substr(i + 1));
        return payload;
      }
    }
    return tl::unexpected(fmt::format("braces are not balanced in \"{}\"", excerpt(rest)));
  }

  // A result behind `?` or `:`: in braces, or all that follows, verbatim (Postfix 2.2's form).
  static Expanded<std::string_view> take_result(std::string_view& rest) {
    const std::string_view braced = without_leading_blanks(rest);
    if (braced.starts_with('{')) {
      rest = braced;
      return take_braced(rest);
    }
    return std::exchange(rest, {});
  }

  Expanded<std::string> reference(std::string_view body, int depth) {
    std::string_view rest = without_leading_blanks(body);
    std::optional<std::string> value;
    if (rest.starts_with('{')) {
      auto truth = comparison(rest, depth);
      if (!truth) return truth;
      value = std::move(*truth);
    } else {
      std::size_t end = 0;
      while (end < rest.size() && is_name(rest[end])) ++end;
      const std::string_view name = rest.substr(0, end);
      rest = without_leading_blanks(rest.substr(end));
      if (name.empty() || (!rest.empty() && rest.front() != '?' && rest.front() != ':')) {
        return tl::unexpected(
            fmt::format("\"${{{}}}\" is no reference: a name, \"?\" or \":\" is "
                        "expected at \"{}\"",
                        excerpt(body), excerpt(rest)));
      }
      auto found = lookup(name);
      if (!found) return tl::unexpected(found.error());
      if (rest.empty() && !*found) {
        return tl::unexpected(fmt::format("${} is not defined", name));
      }
      value = std::move(*found);
    }
    if (rest.empty()) return value.value_or("");
    return choice(rest, value && !value->empty(), depth);
  }

  // `?{a}:{b}`, `?{a}`, `?a`, `:{b}` or `:b`, all of the rest.
  Expanded<std::string> choice(std::string_view rest, bool truth, int depth) {
    std::string out;
    const auto take_branch = [&](bool taken) -> Expanded<void> {
      rest.remove_prefix(1);
      const auto branch = take_result(rest);
      if (!branch) return tl::unexpected(branch.error());
      if (!taken && lookup_ != nullptr) return {};
      auto expanded = text(*branch, depth + 1);
      if (!expanded) return tl::unexpected(expanded.error());
      out = std::move(*expanded);
      return {};
    };
    if (rest.front() == '?') {
      if (const auto done = take_branch(truth); !done) return tl::unexpected(done.error());
      if (rest.empty()) return out;
    }
    if (rest.front() != ':') {
      return tl::unexpected(fmt::format("\"?\" or \":\" is expected at \"{}\"", excerpt(rest)));
    }
    if (const auto done = take_branch(!truth); !done) return tl::unexpected(done.error());
    if (!rest.empty()) {
      return tl::unexpected(fmt::format("nothing is expected at \"{}\"", excerpt(rest)));
    }
    return out;
  }

  // `{left} RELATION {right}`: "true", or empty.
  Expanded<std::string> comparison(std::string_view& rest, int depth) {
    auto left = operand(rest, depth);
    if (!left) return left;
    const std::size_t end = std::min(rest.find_first_not_of("<>=!"), rest.size());
    const std::string_view relation = rest.substr(0, end);
    const bool by_level = rest.substr(end).starts_with("level");
    rest = without_leading_blanks(rest.substr(by_level ? end + 5 : end));
    if (!rest.starts_with('{')) {
      return tl::unexpected(
          fmt::format("a comparison with {{text}} is expected at \"{}\"", excerpt(rest)));
    }
    auto right = operand(rest, depth);
    if (!right) return right;

    std::strong_ordering order = compare(*left, *right);
    if (by_level && lookup_ != nullptr) {
      const auto left_level = parse_level(*left);
      const auto right_level = parse_level(*right);
      if (!left_level || !right_level) {
        return tl::unexpected(
            fmt::format("\"{}\" is no compatibility level", excerpt(left_level ? *right : *left)));
      }
      order = *left_level <=> *right_level;
    }
    const auto truth = holds(relation, order);
    if (!truth) {
      return tl::unexpected(fmt::format("\"{}\" is no comparison", excerpt(relation)));
    }
    return std::string(*truth ? "true" : "");
  }

  Expanded<std::string> operand(std::string_view& rest, int depth) {
    const auto payload = take_braced(rest);
    if (!payload) return tl::unexpected(payload.error());
    return text(*payload, depth + 1);
  }

  Expanded<std::optional<std::string>> lookup(std::string_view name) {
    if (lookup_ != nullptr) return (*lookup_)(name);
    names_.emplace_back(name);
    return std::string();
  }

  const LookupName* lookup_;
  std::vector<std::string> names_;
};

}  // namespace

Expanded<std::string> expand(std::string_view text, const LookupName& lookup) {
  return Expansion(&lookup).text(text, 0);
}

Expanded<std::vector<std::string>> references(std::string_view text) {
  Expansion expansion(nullptr);
  const auto scanned = expansion.text(text, 0);
  if (!scanned) return tl::unexpected(scanned.error());
  return expansion.take_names();
}

}  // namespace lmtpd
