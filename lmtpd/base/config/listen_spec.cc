#include "lmtpd/base/config/listen_spec.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

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

constexpr std::array kTlsLevels{
    std::pair<std::string_view, TlsLevel>{"none", TlsLevel::none},
    std::pair<std::string_view, TlsLevel>{"may", TlsLevel::may},
    std::pair<std::string_view, TlsLevel>{"encrypt", TlsLevel::encrypt}};

Parsed<void> parse_tls(std::string_view value, ListenSpec& spec) {
  if (spec.kind == ListenSpec::Kind::inets) {
    return tl::unexpected(std::string("inets: is TLS from the first octet, and nothing else"));
  }
  const auto level = parse_tls_level(value);
  if (!level) return tl::unexpected(level.error());
  spec.options.tls = *level;
  return {};
}

Parsed<void> parse_auth(std::string_view value, ListenSpec& spec) {
  const auto wanted = parse_yes_no(value);
  if (!wanted) return tl::unexpected(wanted.error());
  spec.options.auth = *wanted;
  return {};
}

Parsed<void> parse_proxy(std::string_view value, ListenSpec& spec) {
  const auto expected = parse_yes_no(value);
  if (!expected) return tl::unexpected(expected.error());
  spec.options.proxy = *expected;
  return {};
}

struct Option {
  std::string_view name;
  Parsed<void> (*parse)(std::string_view value, ListenSpec& spec);
};
constexpr std::array kOptions{Option{"tls", parse_tls}, Option{"auth", parse_auth},
                              Option{"proxy", parse_proxy}};

// NAME=VALUE words, each name once.
Parsed<void> parse_options(std::span<const std::string_view> words, ListenSpec& spec) {
  std::array<bool, kOptions.size()> seen{};
  for (const std::string_view word : words) {
    const std::size_t equals = word.find('=');
    const auto* const option = std::ranges::find(kOptions, word.substr(0, equals), &Option::name);
    if (option == kOptions.end() || equals == std::string_view::npos) {
      return tl::unexpected(fmt::format(
          "{}: \"{}\" is no option of a listener; there are tls=, auth= and proxy=", spec.text,
          word));
    }
    // The mode of a unix socket says who may come, and nobody listens in between.
    if (spec.kind == ListenSpec::Kind::unix_socket) {
      return tl::unexpected(fmt::format("{}: a unix socket has no option \"{}\"; inet: has",
                                        spec.text, option->name));
    }
    if (std::exchange(seen[static_cast<std::size_t>(option - kOptions.begin())], true)) {
      return tl::unexpected(fmt::format("{}: {}= is given twice", spec.text, option->name));
    }
    if (const auto parsed = option->parse(word.substr(equals + 1), spec); !parsed) {
      return tl::unexpected(fmt::format("{}: {}: {}", spec.text, option->name, parsed.error()));
    }
  }
  return {};
}

Parsed<ListenSpec> parse_address(std::string_view word, const std::string& queue_directory,
                                 ListenSpec spec) {
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
  if (word.starts_with("inets:")) {
    spec.kind = ListenSpec::Kind::inets;
    return parse_inet(word.substr(6), std::move(spec));
  }
  return tl::unexpected(fmt::format(
      "{} is no listener; write unix:PATH, inet:HOST[:PORT] or inets:HOST[:PORT]", spec.text));
}

}  // namespace

Parsed<TlsLevel> parse_tls_level(std::string_view text) {
  const auto* const found =
      std::ranges::find(kTlsLevels, text, &std::pair<std::string_view, TlsLevel>::first);
  if (found == kTlsLevels.end()) {
    return tl::unexpected(fmt::format("\"{}\" is none of: none, may, encrypt", text));
  }
  return found->second;
}

Parsed<ListenSpec> parse_listen_spec(std::string_view word, const std::string& queue_directory) {
  ListenSpec named;
  named.text = word;
  const auto inside = braced(word);
  if (!inside) return parse_address(word, queue_directory, std::move(named));
  const auto words = split_list(*inside);
  if (!words) return tl::unexpected(words.error());
  if (words->empty()) return tl::unexpected(std::string("{} names no listener"));
  auto spec = parse_address(words->front(), queue_directory, std::move(named));
  if (!spec) return spec;
  if (const auto parsed = parse_options(std::span(*words).subspan(1), *spec); !parsed) {
    return tl::unexpected(parsed.error());
  }
  return spec;
}

Parsed<std::vector<ListenSpec>> parse_listen_list(std::string_view text,
                                                  const std::string& queue_directory) {
  const auto words = split_list(text);
  if (!words) return tl::unexpected(words.error());
  std::vector<ListenSpec> specs;
  for (const std::string_view word : *words) {
    auto spec = parse_listen_spec(word, queue_directory);
    if (!spec) return tl::unexpected(spec.error());
    if (std::ranges::any_of(specs, [&](const auto& other) { return other.same_place(*spec); })) {
      return tl::unexpected(fmt::format("{} is listed twice", spec->text));
    }
    specs.push_back(std::move(*spec));
  }
  if (specs.empty()) return tl::unexpected(std::string("no listener is named"));
  return specs;
}

}  // namespace lmtpd
