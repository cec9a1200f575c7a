#include "lmtpd/session/forwarding.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "lmtpd/base/capitals.h"
#include "lmtpd/base/internet_address.h"
#include "lmtpd/session/parameters.h"

namespace lmtpd::session {
namespace {

constexpr std::size_t kLongestValue = 255;  // octets of xtext, and of a host name
constexpr std::size_t kLongestLabel = 63;
constexpr std::size_t kLongestProtocol = 64;

struct Attribute {
  std::string_view name;
  std::optional<std::string> value;  // nullopt: the client does not know
};

std::string neutral(std::string text) {
  std::ranges::replace_if(
      text,
      [](unsigned char c) {
        return c <= ' ' || c >= 0x7F ||
               std::string_view("<>()\\\";@,").find(static_cast<char>(c)) != std::string_view::npos;
      },
      '?');
  return text;
}

// Cuts the next one off `text`.
tl::expected<Attribute, FixedReply> next_attribute(std::string_view& text) {
  const auto word = next_parameter(text);
  if (!word) return tl::unexpected(word.error());
  if (!word->value) return tl::unexpected(kBadSyntax);
  if (word->value->size() > kLongestValue) return tl::unexpected(kBadParameter);
  Attribute attribute{word->keyword, std::nullopt};
  if (equal_ignoring_case(*word->value, "[UNAVAILABLE]") ||
      equal_ignoring_case(*word->value, "[TEMPUNAVAIL]")) {
    return attribute;
  }
  std::optional<std::string> value = decode_xtext(*word->value);
  if (!value) return tl::unexpected(kBadParameter);
  attribute.value = neutral(*std::move(value));
  return attribute;
}

bool is_host_name(std::string_view text) {
  while (true) {
    const std::size_t dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    const bool plain = std::ranges::all_of(label, [](char c) {
      return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
             c == '-' || c == '_';
    });
    if (!plain || label.empty() || label.size() > kLongestLabel || label.front() == '-' ||
        label.back() == '-') {
      return false;
    }
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

std::string_view without_ipv6_tag(std::string_view text) {
  constexpr std::string_view kTag = "IPv6:";
  return equal_ignoring_case(text.substr(0, kTag.size()), kTag) ? text.substr(kTag.size()) : text;
}

std::optional<std::string> parse_address(std::string_view text) {
  return normal_internet_address(std::string(without_ipv6_tag(text)));
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

bool is_protocol(std::string_view text) {
  return std::ranges::any_of(
      std::array<std::string_view, 3>{"SMTP", "ESMTP", "LMTP"},
      [&](std::string_view known) { return equal_ignoring_case(text, known); });
}

}  // namespace

tl::expected<ClientOverride, FixedReply> parse_xclient(std::string_view argument) {
  ClientOverride client;
  while (!argument.empty()) {
    const auto attribute = next_attribute(argument);
    if (!attribute) return tl::unexpected(attribute.error());
    const auto is = [&](std::string_view name) {
      return equal_ignoring_case(attribute->name, name);
    };
    const std::optional<std::string>& value = attribute->value;
    if (is("NAME")) {
      if (value && (!is_host_name(*value) || parse_address(*value))) {
        return tl::unexpected(kBadParameter);
      }
      client.name = value.value_or(std::string(kUnknown));
    } else if (is("ADDR")) {
      client.address = value ? parse_address(*value) : std::string(kUnknown);
      if (!client.address) return tl::unexpected(kBadParameter);
    } else if (is("PORT")) {
      client.port = value ? parse_port(*value) : 0;
      if (!client.port) return tl::unexpected(kBadParameter);
    } else if (is("PROTO")) {
      if (value && !is_protocol(*value)) return tl::unexpected(kBadParameter);
    } else if (is("HELO")) {
      client.helo = value.value_or("");
    } else {
      return tl::unexpected(kUnknownAttribute);
    }
  }
  return client;
}

tl::expected<Origin, FixedReply> parse_xforward(std::string_view argument, Origin before) {
  Origin origin = std::move(before);
  while (!argument.empty()) {
    const auto attribute = next_attribute(argument);
    if (!attribute) return tl::unexpected(attribute.error());
    const auto is = [&](std::string_view name) {
      return equal_ignoring_case(attribute->name, name);
    };
    const std::string value = attribute->value.value_or("");
    if (is("NAME")) {
      origin.name = value;
    } else if (is("ADDR")) {
      origin.address = without_ipv6_tag(value);
    } else if (is("PORT")) {
      if (attribute->value && !parse_port(value)) return tl::unexpected(kBadParameter);
    } else if (is("PROTO")) {
      if (value.size() > kLongestProtocol) return tl::unexpected(kBadParameter);
    } else if (is("IDENT")) {
      origin.queue_id = value;
    } else if (is("SOURCE")) {
      if (attribute->value && !equal_ignoring_case(value, "LOCAL") &&
          !equal_ignoring_case(value, "REMOTE")) {
        return tl::unexpected(kBadParameter);
      }
    } else if (!is("HELO")) {
      return tl::unexpected(kUnknownAttribute);
    }
  }
  return origin;
}

std::string log_name(const Origin& origin) {
  if (origin.name.empty() && origin.address.empty()) return {};
  const std::string_view name = origin.name.empty() ? kUnknown : std::string_view(origin.name);
  return origin.address.empty() ? std::string(name) : fmt::format("{}[{}]", name, origin.address);
}

}  // namespace lmtpd::session
