#include "lmtpd/base/config/listen_spec.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lmtpd/base/config/values.h"

namespace lmtpd {
namespace {

constexpr std::uint16_t kLmtpPort = 24;
constexpr std::uint16_t kSmtpPort = 25;

bool is_numeric_address(int family, const std::string& text) {
  std::array<unsigned char, 16> address{};
  return ::inet_pton(family, text.c_str(), address.data()) == 1;
}

// A name or a dotted IPv4 address; a number alone is a port whose host was forgotten.
bool is_host(std::string_view text) {
  if (text == "*") return true;
  constexpr std::string_view kOctets =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
  return !text.empty() && text.size() <= 253 && text.find_first_not_of(kOctets) == text.npos &&
         text.find_first_not_of("0123456789") != text.npos;
}

Parsed<ListenSpec> parse_inet(std::string_view where, ListenSpec spec) {
  std::string_view port;
  if (where.starts_with('[')) {
    const std::size_t close = where.find(']');
    if (close == std::string_view::npos) {
      return tl::unexpected(fmt::format("{}: a bracket is not closed", spec.text));
    }
    spec.host = where.substr(1, close - 1);
    port = where.substr(close + 1);
    if (!is_numeric_address(AF_INET6, spec.host) && !is_numeric_address(AF_INET, spec.host)) {
      return tl::unexpected(fmt::format("{}: {} is no address", spec.text, spec.host));
    }
  } else {
    const std::size_t colon = std::min(where.find(':'), where.size());
    spec.host = where.substr(0, colon);
    port = where.substr(colon);
    if (port.find(':', 1) != std::string_view::npos) {
      return tl::unexpected(
          fmt::format("{}: an IPv6 address stands in brackets, as in inet:[::1]:24", spec.text));
    }
    if (!is_host(spec.host)) {
      return tl::unexpected(fmt::format(
          "{}: \"{}\" is no host; write inet:HOST:PORT, or inet:*:PORT for all addresses",
          spec.text, spec.host));
    }
  }
  spec.port = kLmtpPort;
  if (!port.empty()) {
    if (!port.starts_with(':')) {
      return tl::unexpected(fmt::format("{}: a port is expected at \"{}\"", spec.text, port));
    }
    const auto number = parse_number(port.substr(1), 1, 65535);
    if (!number) return tl::unexpected(fmt::format("{}: port: {}", spec.text, number.error()));
    spec.port = static_cast<std::uint16_t>(*number);
  }
  // RFC 2033 section 5.
  if (spec.port == kSmtpPort) {
    return tl::unexpected(
        fmt::format("{}: LMTP must not be spoken on port 25 (RFC 2033 section 5)", spec.text));
  }
  return spec;
}

}  // namespace

Parsed<ListenSpec> parse_listen_spec(std::string_view word, const std::string& queue_directory) {
  ListenSpec spec;
  spec.text = word;
  if (word.starts_with('{') && word.ends_with('}')) {
    const auto words = split_list(word.substr(1, word.size() - 2));
    if (!words) return tl::unexpected(words.error());
    if (words->empty()) return tl::unexpected(std::string("{} names no listener"));
    if (words->size() > 1) {
      return tl::unexpected(fmt::format("{}: unknown listen option \"{}\"", word, (*words)[1]));
    }
    word = words->front();
  }
  if (word.starts_with("unix:")) {
    std::string path(word.substr(5));
    if (path.empty()) return tl::unexpected(fmt::format("{}: a path is missing", spec.text));
    if (!path.starts_with('/')) {
      path = queue_directory + (queue_directory.ends_with('/') ? "" : "/") + path;
    }
    auto checked = parse_socket_path(std::move(path));
    if (!checked) return tl::unexpected(fmt::format("{}: {}", spec.text, checked.error()));
    spec.path = std::move(*checked);
    return spec;
  }
  if (word.starts_with("inet:")) {
    spec.kind = ListenSpec::Kind::inet;
    return parse_inet(word.substr(5), std::move(spec));
  }
  return tl::unexpected(
      fmt::format("{} is no listener; write unix:PATH or inet:HOST[:PORT]", spec.text));
}

Parsed<std::vector<ListenSpec>> parse_listen_list(std::string_view text,
                                                  const std::string& queue_directory) {
  const auto words = split_list(text);
  if (!words) return tl::unexpected(words.error());
  std::vector<ListenSpec> specs;
  for (const std::string_view word : *words) {
    auto spec = parse_listen_spec(word, queue_directory);
    if (!spec) return tl::unexpected(spec.error());
    const bool repeated = std::any_of(specs.begin(), specs.end(), [&](const ListenSpec& other) {
      return other.kind == spec->kind && other.path == spec->path && other.host == spec->host &&
             other.port == spec->port;
    });
    if (repeated) return tl::unexpected(fmt::format("{} is listed twice", spec->text));
    specs.push_back(std::move(*spec));
  }
  if (specs.empty()) return tl::unexpected(std::string("no listener is named"));
  return specs;
}

}  // namespace lmtpd
