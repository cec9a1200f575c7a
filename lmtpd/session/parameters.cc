#include "lmtpd/session/parameters.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "lmtpd/base/capitals.h"
#include "lmtpd/session/words.h"

namespace lmtpd::session {
namespace {

// Octets. The longest that a standard has is 500: ORCPT's (RFC 3461 4.2) and AUTH's (RFC 4954 5).
constexpr std::size_t kLongestValue = 1000;

bool is_alphanumeric(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_keyword(std::string_view text) {
  return !text.empty() && is_alphanumeric(text[0]) &&
         std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '-'; });
}

// esmtp-value, with the octets of UTF-8 that RFC 6531 3.3 adds.
bool is_value(std::string_view text) {
  if (text.empty() || text.size() > kLongestValue) return false;
  return std::ranges::all_of(text,
                             [](unsigned char c) { return c > 0x20 && c != '=' && c != 0x7F; });
}

// RFC 1870 section 4: one to twenty digits.
std::optional<std::uint64_t> parse_size(std::string_view digits) {
  if (digits.empty() || digits.size() > 20) return std::nullopt;
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  if (end != digits.data() + digits.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::numeric_limits<std::uint64_t>::max();
  if (error != std::errc()) return std::nullopt;
  return size;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_utf8(std::string& out, std::uint32_t point) {
  const auto octet = [&](std::uint32_t value) { out += static_cast<char>(value); };
  if (point < 0x80) {
    octet(point);
  } else if (point < 0x800) {
    octet(0xC0 | point >> 6);
    octet(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    octet(0xE0 | point >> 12);
    octet(0x80 | (point >> 6 & 0x3F));
    octet(0x80 | (point & 0x3F));
  } else {
    octet(0xF0 | point >> 18);
    octet(0x80 | (point >> 12 & 0x3F));
    octet(0x80 | (point >> 6 & 0x3F));
    octet(0x80 | (point & 0x3F));
  }
}

// RFC 6533 section 3: \x{HEX} for a code point; other octets stand for themselves.
std::optional<std::string> decode_utf8_address(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text[0] != '\\') {
      out += text[0];
      text.remove_prefix(1);
      continue;
    }
    const std::size_t close = text.find('}');
    if (!text.starts_with("\\x{") || close == std::string_view::npos) return std::nullopt;
    const std::string_view digits = text.substr(3, close - 3);
    if (digits.size() < 2 || digits.size() > 6) return std::nullopt;
    std::uint32_t point = 0;
    for (const char digit : digits) {
      if (hex_digit(digit) < 0) return std::nullopt;
      point = point * 16 + static_cast<std::uint32_t>(hex_digit(digit));
    }
    if (point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return std::nullopt;
    append_utf8(out, point);
    text.remove_prefix(close + 1);
  }
  return out;
}

// "addr-type;address". An address of another type than mail's is taken and not kept.
std::optional<std::string> parse_original_recipient(std::string_view value) {
  const std::size_t semicolon = value.find(';');
  if (semicolon == std::string_view::npos) return std::nullopt;
  const std::string_view type = value.substr(0, semicolon);
  const std::string_view address = value.substr(semicolon + 1);
  if (!is_keyword(type)) return std::nullopt;
  if (equal_ignoring_case(type, "utf-8")) return decode_utf8_address(address);
  std::optional<std::string> decoded = decode_xtext(address);
  if (decoded && !equal_ignoring_case(type, "rfc822")) decoded->clear();
  return decoded;
}

}  // namespace

tl::expected<Parameter, FixedReply> next_parameter(std::string_view& text) {
  const std::string_view token = take_word(text);
  Parameter parameter;
  const std::size_t equals = token.find('=');
  parameter.keyword = token.substr(0, equals);
  if (!is_keyword(parameter.keyword)) return tl::unexpected(kBadSyntax);
  if (equals != std::string_view::npos) {
    parameter.value = token.substr(equals + 1);
    if (!is_value(*parameter.value)) return tl::unexpected(kBadParameter);
  }
  return parameter;
}

std::optional<std::string> decode_xtext(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '+') {
      if (text.size() - i < 3 || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0) {
        return std::nullopt;
      }
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else if (c < '!' || c > '~' || c == '=') {
      return std::nullopt;
    } else {
      out += c;
    }
  }
  return out;
}

tl::expected<MailParameters, FixedReply> parse_mail_parameters(std::string_view text,
                                                               bool takes_auth) {
  MailParameters result;
  bool has_size = false;
  bool has_body = false;
  while (!text.empty()) {
    const auto parameter = next_parameter(text);
    if (!parameter) return tl::unexpected(parameter.error());
    const auto is = [&](std::string_view keyword) {
      return equal_ignoring_case(parameter->keyword, keyword);
    };
    if (is("SIZE")) {
      if (has_size) return tl::unexpected(kRepeatedParameter);
      has_size = true;
      const auto size = parse_size(parameter->value.value_or(""));
      if (!size) return tl::unexpected(kBadParameter);
      result.size = *size;
    } else if (is("BODY")) {
      if (has_body) return tl::unexpected(kRepeatedParameter);
      has_body = true;
      const std::string_view value = parameter->value.value_or("");
      result.binary = equal_ignoring_case(value, "BINARYMIME");
      if (!result.binary && !equal_ignoring_case(value, "8BITMIME") &&
          !equal_ignoring_case(value, "7BIT")) {
        return tl::unexpected(kBadParameter);
      }
    } else if (is("SMTPUTF8")) {
      if (result.smtputf8) return tl::unexpected(kRepeatedParameter);
      if (parameter->value) return tl::unexpected(kBadParameter);
      result.smtputf8 = true;
    } else if (is("AUTH") && takes_auth) {
      if (result.submitter) return tl::unexpected(kRepeatedParameter);
      result.submitter = decode_xtext(parameter->value.value_or(""));
      if (!result.submitter || result.submitter->empty()) return tl::unexpected(kBadParameter);
    } else {
      return tl::unexpected(kUnknownParameter);
    }
  }
  return result;
}

tl::expected<RcptParameters, FixedReply> parse_rcpt_parameters(std::string_view text) {
  RcptParameters result;
  bool has_orcpt = false;
  while (!text.empty()) {
    const auto parameter = next_parameter(text);
    if (!parameter) return tl::unexpected(parameter.error());
    if (!equal_ignoring_case(parameter->keyword, "ORCPT")) {
      return tl::unexpected(kUnknownParameter);
    }
    if (has_orcpt) return tl::unexpected(kRepeatedParameter);
    has_orcpt = true;
    auto original = parse_original_recipient(parameter->value.value_or(""));
    if (!original) return tl::unexpected(kBadParameter);
    result.original_recipient = std::move(*original);
  }
  return result;
}

tl::expected<Chunk, FixedReply> parse_chunk(std::string_view argument) {
  Chunk chunk;
  const std::string_view digits = take_word(argument);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), chunk.octets);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return tl::unexpected(kBadParameter);
  }
  if (chunk.octets > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    return tl::unexpected(kBadParameter);
  }
  chunk.last = equal_ignoring_case(argument, "LAST");
  if (!chunk.last && !argument.empty()) return tl::unexpected(kBadParameter);
  return chunk;
}

}  // namespace lmtpd::session
