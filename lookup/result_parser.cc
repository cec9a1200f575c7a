// Postfix's way in three steps: scan tokens, group them into addresses from right to left (only at
// the
// `;` behind it does one know that a `:` begins a group), rewrite each group's tokens.

#include "lookup/result_parser.h"

#include <algorithm>
#include <span>

namespace lmtpd::lookup {
namespace {

struct Token {
  enum class Kind { word, literal, special };
  Kind kind;
  std::string text;  // unquoted; of a special its one character

  [[nodiscard]] bool is(char c) const { return kind == Kind::special && text[0] == c; }
  [[nodiscard]] bool is_word() const { return kind != Kind::special; }
  [[nodiscard]] bool ends_phrase() const { return is('>') || is(';') || is(',') || is(':'); }
};
using Tokens = std::vector<Token>;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// RFC 822's specials without the backslash, and those of UNIX mail.
bool is_special(char c) {
  return std::string_view("|%!()<>@,;:\".[]").find(c) != std::string_view::npos;
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  Tokens scan() {
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (is_blank(c)) {
        rest_.remove_prefix(1);
      } else if (c == '(') {
        skip_comment();
      } else if (c == '"') {
        rest_.remove_prefix(1);
        tokens_.push_back({Token::Kind::word, take_until('"')});
      } else if (c == '[') {
        rest_.remove_prefix(1);
        tokens_.push_back({Token::Kind::literal, "[" + take_until(']') + "]"});
      } else if (is_special(c)) {
        tokens_.push_back({Token::Kind::special, std::string(1, c)});
        rest_.remove_prefix(1);
      } else {
        tokens_.push_back({Token::Kind::word, take_atom()});
      }
    }
    return std::move(tokens_);
  }

 private:
  char take() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  // The octet that a backslash stands for; a backslash at the very end stands for itself.
  char take_quoted(char c) { return c == '\\' && !rest_.empty() ? take() : c; }

  std::string take_until(char end) {
    std::string text;
    while (!rest_.empty()) {
      const char c = take();
      if (c == end) break;
      text += take_quoted(c);
    }
    return text;
  }
  std::string take_atom() {
    std::string text;
    while (!rest_.empty() && !is_blank(rest_.front()) && !is_special(rest_.front())) {
      text += take_quoted(take());
    }
    return text;
  }
  void skip_comment() {
    int depth = 0;
    while (!rest_.empty()) {
      const char c = take();
      if (c == '\\') {
        take_quoted(c);
      } else if (c == '(') {
        ++depth;
      } else if (c == ')' && --depth == 0) {
        break;
      }
    }
  }

  std::string_view rest_;
  Tokens tokens_;
};

// Which tokens make an address each.
class Grouper {
 public:
  explicit Grouper(const Tokens& tokens) : tokens_(tokens), right_(tokens.size()) {}

  std::vector<std::span<const Token>> group() {
    bool in_group = false;  // a `;` was seen: a `:` may begin the group
    bool word_fits = true;  // a word here continues the address on its right
    std::size_t at = tokens_.size();
    while (at-- > 0) {
      const Token& token = tokens_[at];
      if (token.is_word()) {
        if (!word_fits) end_address(at, at + 1);
        word_fits = false;
        continue;
      }
      word_fits = true;
      if (token.is(';')) {
        end_address(at, at);
        in_group = true;
      } else if (token.is(',')) {
        end_address(at, at);
      } else if (token.is(':') && in_group) {
        end_address(at, at);
        at = skip_back(at, [](const Token& t) { return t.is(','); });
      } else if (token.is('>')) {
        end_address(at, at);
        const std::size_t open = skip_back(at, [](const Token& t) { return t.is('<'); });
        add(open, at);
        at = skip_back(open, [](const Token& t) { return t.ends_phrase(); });
      }
    }
    add_from(0);
    std::reverse(addresses_.begin(), addresses_.end());
    return std::move(addresses_);
  }

 private:
  // The place behind the nearest token before `at` that `ends`, where right_ is moved to; 0 if
  // none.
  template <class Ends>
  std::size_t skip_back(std::size_t at, Ends ends) {
    while (at > 0 && !ends(tokens_[at - 1])) --at;
    right_ = at;
    return at;
  }
  void add_from(std::size_t first) {
    if (first < right_) addresses_.push_back(std::span(tokens_).subspan(first, right_ - first));
  }
  void add(std::size_t first, std::size_t end) {
    right_ = end;
    add_from(first);
    right_ = first;
  }
  // What stands behind the token at `at` up to right_ is an address; the next one ends at `end`.
  void end_address(std::size_t at, std::size_t end) {
    add_from(at + 1);
    right_ = end;
  }

  const Tokens& tokens_;
  std::size_t right_;  // end of the address under way
  std::vector<std::span<const Token>> addresses_;
};

std::size_t find_last(const Tokens& tokens, char special) {
  for (std::size_t at = tokens.size(); at-- > 0;) {
    if (tokens[at].is(special)) return at;
  }
  return std::string::npos;
}

std::size_t find_first(const Tokens& tokens, char special) {
  for (std::size_t at = 0; at < tokens.size(); ++at) {
    if (tokens[at].is(special)) return at;
  }
  return std::string::npos;
}

// Words side by side, as only <...> can hold them, keep a blank between them.
std::string join(std::span<const Token> tokens) {
  std::string text;
  bool after_word = false;
  for (const Token& token : tokens) {
    if (after_word && token.is_word()) text += ' ';
    text += token.text;
    after_word = token.is_word();
  }
  return text;
}

// What Postfix's queue manager makes of it; nothing is rewritten in it.
PlainAddress null_address(const RewriteRules& rules) { return {"MAILER-DAEMON", rules.hostname}; }

// rewrite_tree() of trivial-rewrite(8).
PlainAddress rewrite(std::span<const Token> group, const RewriteRules& rules) {
  constexpr auto kNone = std::string::npos;
  Tokens tokens(group.begin(), group.end());
  const bool is_quoted_nothing = tokens[0].is_word() && tokens[0].text.empty();
  if (tokens.size() == 1 && (tokens[0].is('@') || is_quoted_nothing)) return null_address(rules);

  if (tokens.front().is('@')) {  // a source route
    const std::size_t colon = find_first(tokens, ':');
    if (colon != kNone && colon + 1 < tokens.size()) {
      tokens.erase(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(colon) + 1);
    }
  }
  std::size_t at = find_last(tokens, '@');
  std::size_t bang = kNone;
  if (at == kNone) bang = find_first(tokens, '!');
  if (at == kNone && bang == kNone && rules.percent_hack) at = find_last(tokens, '%');

  const std::span<const Token> all(tokens);
  PlainAddress address;
  if (at == kNone && bang == kNone) {
    address = {join(all), rules.origin};
  } else if (at != kNone) {
    address = {join(all.first(at)), join(all.subspan(at + 1))};
  } else {
    address = {join(all.subspan(bang + 1)), join(all.first(bang))};
  }
  std::string& domain = address.domain;
  // Of the origin, too.
  if (!rules.append_domain.empty() && !domain.empty() && domain.front() != '[' &&
      domain.find('.') == kNone) {
    domain.append(1, '.').append(rules.append_domain);
  }
  if (domain.size() > 1 && domain.ends_with('.') && !domain.ends_with("..")) domain.pop_back();
  return address;
}

}  // namespace

std::vector<PlainAddress> parse_result(std::string_view text, const RewriteRules& rules) {
  if (text == "<>") return {null_address(rules)};
  const Tokens tokens = Scanner(text).scan();
  std::vector<PlainAddress> addresses;
  for (const std::span<const Token> group : Grouper(tokens).group()) {
    addresses.push_back(rewrite(group, rules));
  }
  return addresses;
}

}  // namespace lmtpd::lookup
