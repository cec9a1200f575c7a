#include "lookup/sql_scanner.h"

#include <cctype>
#include <string_view>

namespace lmtpd::lookup {
namespace {

bool is_word(char c) {
  const auto octet = static_cast<unsigned char>(c);
  return octet >= 0x80 || std::isalnum(octet) != 0 || c == '_' || c == '$';
}

// One octet of SQL, or a placeholder.
struct Token {
  char octet;
  char placeholder;  // 0: an octet
};

class Scanner {
 public:
  Scanner(const std::vector<Template::Piece>& pieces, SqlDialect dialect) : dialect_(dialect) {
    for (const Template::Piece& piece : pieces) {
      for (const char c : piece.text) tokens_.push_back({c, 0});
      if (piece.placeholder != 0) tokens_.push_back({'\0', piece.placeholder});
    }
  }

  SqlScan run() {
    while (at_ < tokens_.size()) step();
    return std::move(scan_);
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < tokens_.size() ? tokens_[at_ + ahead].octet : '\0';
  }
  [[nodiscard]] bool postgresql() const { return dialect_ == SqlDialect::postgresql; }

  // The word that ends right before the present token, in lower case: the `e` of e'...'.
  [[nodiscard]] std::string word_before() const {
    std::size_t begin = at_;
    while (begin > 0 && tokens_[begin - 1].placeholder == 0 && is_word(tokens_[begin - 1].octet)) {
      --begin;
    }
    std::string word;
    for (std::size_t i = begin; i < at_; ++i) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(tokens_[i].octet)));
    }
    if (word.empty() && begin > 1 && tokens_[begin - 1].octet == '&' &&
        std::tolower(static_cast<unsigned char>(tokens_[begin - 2].octet)) == 'u') {
      return "u&";
    }
    return word;
  }

  void step();
  void literal();
  void quoted(char end, SqlQuoting quoting);
  void line_comment();
  void block_comment();
  bool dollar_quoted();
  void copy(SqlQuoting quoting);
  void put_parameter(std::vector<Template::Piece> parameter);

  SqlDialect dialect_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  SqlScan scan_;
};

// Takes one token that is not in a literal.
void Scanner::copy(SqlQuoting quoting) {
  const Token token = tokens_[at_++];
  if (token.placeholder == 0) {
    scan_.prepared_text += token.octet;
    return;
  }
  scan_.quoting.push_back(quoting);
  scan_.certain = false;
}

void Scanner::step() {
  const char c = peek();
  const bool word_precedes = !word_before().empty();
  if (c == '\'') return literal();
  if (c == '"') return quoted('"', SqlQuoting::identifier);
  if (!postgresql() && c == '`') return quoted('`', SqlQuoting::none);
  if (!postgresql() && c == '[') return quoted(']', SqlQuoting::none);
  if (c == '-' && peek(1) == '-') return line_comment();
  if (c == '/' && peek(1) == '*') return block_comment();
  if (postgresql() && c == '$' && !word_precedes) {
    if (dollar_quoted()) return;
    // A parameter of the author's own would be taken for one of ours.
    if (std::isdigit(static_cast<unsigned char>(peek(1))) != 0) scan_.certain = false;
  }
  // Of these only $ may belong to a word.
  if (!postgresql() &&
      (c == '?' || c == ':' || c == '@' || c == '#' || (c == '$' && !word_precedes))) {
    scan_.certain = false;
  }
  copy(SqlQuoting::none);
}

void Scanner::literal() {
  const std::string prefix = word_before();
  const bool escapes = postgresql() && prefix == "e";
  const bool special =
      (postgresql() && (prefix == "u&" || prefix == "n")) || prefix == "b" || prefix == "x";
  const std::size_t open = at_++;
  std::vector<Template::Piece> parameter(1);
  bool has_placeholder = false;
  bool has_backslash = false;
  bool closed = false;
  while (at_ < tokens_.size() && !closed) {
    const Token token = tokens_[at_++];
    if (token.placeholder != 0) {
      has_placeholder = true;
      scan_.quoting.push_back(escapes ? SqlQuoting::escape_literal : SqlQuoting::literal);
      parameter.push_back({"", token.placeholder});
      parameter.emplace_back();
      continue;
    }
    if (token.octet == '\'' && peek() != '\'') {
      closed = true;
      continue;
    }
    if (token.octet == '\'') ++at_;
    if (token.octet == '\\' && postgresql()) {
      has_backslash = true;
      if (escapes && at_ < tokens_.size() && tokens_[at_].placeholder == 0) ++at_;
    }
    parameter.back().text += token.octet;
  }
  if (!closed) scan_.certain = false;
  // In '...' what a backslash means depends on standard_conforming_strings; in E'...' it is not
  // worth decoding.
  if (has_backslash && (has_placeholder || !escapes)) scan_.certain = false;
  if (!has_placeholder) {
    for (std::size_t i = open; i < at_; ++i) scan_.prepared_text += tokens_[i].octet;
    return;
  }
  if (special) scan_.certain = false;
  if (escapes) scan_.prepared_text.pop_back();
  put_parameter(std::move(parameter));
}

// Names and numbers that would run into $1 are kept away by a blank.
void Scanner::put_parameter(std::vector<Template::Piece> parameter) {
  std::string& out = scan_.prepared_text;
  if (!out.empty() && is_word(out.back())) out += ' ';
  scan_.parameters.push_back(std::move(parameter));
  out += postgresql() ? '$' : '?';
  out += std::to_string(scan_.parameters.size());
  if (is_word(peek())) out += ' ';
}

void Scanner::quoted(char end, SqlQuoting quoting) {
  copy(quoting);
  while (at_ < tokens_.size()) {
    const bool last = peek() == end;
    copy(quoting);
    if (last) return;
  }
  scan_.certain = false;
}

void Scanner::line_comment() {
  while (at_ < tokens_.size() && peek() != '\n') copy(SqlQuoting::none);
}

void Scanner::block_comment() {
  int depth = 0;
  while (at_ < tokens_.size()) {
    const bool opens = peek() == '/' && peek(1) == '*';
    const bool closes = peek() == '*' && peek(1) == '/';
    if (!opens && !closes) {
      copy(SqlQuoting::none);
      continue;
    }
    copy(SqlQuoting::none);
    copy(SqlQuoting::none);
    // PostgreSQL's comments nest, SQLite's do not.
    if (opens && (depth == 0 || postgresql())) ++depth;
    if (closes && --depth == 0) return;
  }
  scan_.certain = false;
}

// $tag$...$tag$; false where no such quote begins here.
bool Scanner::dollar_quoted() {
  std::string delimiter = "$";
  for (std::size_t i = 1; peek(i) != '$'; ++i) {
    const char c = peek(i);
    if (!is_word(c) || (i == 1 && std::isdigit(static_cast<unsigned char>(c)) != 0)) return false;
    delimiter += c;
  }
  delimiter += '$';
  const auto at_delimiter = [&] {
    for (std::size_t i = 0; i < delimiter.size(); ++i) {
      if (peek(i) != delimiter[i]) return false;
    }
    return true;
  };
  for (std::size_t i = 0; i < delimiter.size(); ++i) copy(SqlQuoting::none);
  while (at_ < tokens_.size() && !at_delimiter()) copy(SqlQuoting::none);
  if (at_ == tokens_.size()) {
    scan_.certain = false;
    return true;
  }
  for (std::size_t i = 0; i < delimiter.size(); ++i) copy(SqlQuoting::none);
  return true;
}

}  // namespace

SqlScan scan_sql(const std::vector<Template::Piece>& pieces, SqlDialect dialect) {
  return Scanner(pieces, dialect).run();
}

}  // namespace lmtpd::lookup
