#include "lookup/template.h"

#include <fmt/format.h>

#include <algorithm>

#include "lmtpd/base/log.h"

namespace lmtpd::lookup {

Parts::Parts(std::string_view text) : whole(text), local(text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) return;
  local = text.substr(0, at);
  domain = text.substr(at + 1);
}

std::string_view Parts::label(int n) const {
  std::string_view rest = domain.value_or("");
  for (; n > 1; --n) {
    const std::size_t dot = rest.rfind('.');
    if (dot == std::string_view::npos) return {};
    rest = rest.substr(0, dot);
  }
  const std::size_t dot = rest.rfind('.');
  return dot == std::string_view::npos ? rest : rest.substr(dot + 1);
}

Result<Template> Template::parse(std::string_view text) {
  Template parsed;
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) parsed.pieces_.push_back({std::move(literal), 0});
    literal.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      literal += text[i];
      continue;
    }
    const char c = ++i < text.size() ? text[i] : '\0';
    if (c == '%') {
      literal += '%';
      continue;
    }
    switch (c) {
      case 's':
      case 'S':
        break;
      case 'u':
        parsed.lower_.local = true;
        break;
      case 'U':
        parsed.upper_.local = true;
        break;
      case 'd':
        parsed.lower_.domain = true;
        break;
      case 'D':
        parsed.upper_.domain = true;
        break;
      default:
        if (c < '1' || c > '9') {
          const std::string_view what = text.substr(i - 1, c == '\0' ? 1 : 2);
          return fail(Reason::lookup_failed,
                      fmt::format("\"{}\" is no placeholder (a percent sign is written %%)",
                                  escaped(what)));
        }
        parsed.upper_.domain = true;
        parsed.upper_.labels = std::max(parsed.upper_.labels, c - '0');
    }
    end_literal();
    parsed.pieces_.push_back({"", c});
  }
  end_literal();
  return parsed;
}

bool Template::Needs::met_by(const Parts& parts) const {
  if (domain && parts.domain.value_or("").empty()) return false;
  if (local && parts.local.empty()) return false;
  for (int n = 1; n <= labels; ++n) {
    if (parts.label(n).empty()) return false;
  }
  return true;
}

bool Template::asks_for(const Parts& key) const {
  return !key.whole.empty() && lower_.met_by(key) && upper_.met_by(key);
}

bool Template::formats_for(const Parts& key) const { return upper_.met_by(key); }

std::optional<std::string> Template::format(const Parts& value, const Parts& key) const {
  if (value.whole.empty() || !lower_.met_by(value) || !upper_.met_by(key)) return std::nullopt;
  std::string out;
  for (const Piece& piece : pieces_) {
    out += piece.placeholder == 0 ? piece.text : substitute(piece.placeholder, value, key);
  }
  return out;
}

std::string_view substitute(char placeholder, const Parts& lower, const Parts& upper) {
  switch (placeholder) {
    case 's':
      return lower.whole;
    case 'S':
      return upper.whole;
    case 'u':
      return lower.local;
    case 'U':
      return upper.local;
    case 'd':
      return lower.domain.value_or("");
    case 'D':
      return upper.domain.value_or("");
    default:
      return upper.label(placeholder - '0');
  }
}

}  // namespace lmtpd::lookup
