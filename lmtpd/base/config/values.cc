#include "lmtpd/base/config/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "lmtpd/base/blanks.h"

namespace lmtpd {
namespace {

constexpr std::string_view kSeparators = ", \t\r\n";

bool is_yes_no(std::string_view text, std::string_view word) {
  return std::equal(text.begin(), text.end(), word.begin(), word.end(),
                    [](char a, char b) { return (a | 0x20) == b; });
}

// The digits at the start of `text`, cut off it. False: none, or more than 64 bits hold.
bool take_digits(std::string_view& text, int base, std::uint64_t& number) {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, number, base);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(stop - begin));
  return true;
}

struct TimeUnit {
  std::string_view suffix;
  std::uint64_t milliseconds;
};
constexpr auto kTimeUnits = std::to_array<TimeUnit>({
    {"", 1000},
    {"ms", 1},
    {"s", 1000},
    {"m", 60'000},
    {"h", 3'600'000},
    {"d", 86'400'000},
    {"w", 604'800'000},
});

std::string time_text(std::chrono::milliseconds time) {
  const auto count = static_cast<std::uint64_t>(time.count());
  if (count == 0) return "0s";
  for (auto unit = kTimeUnits.rbegin(); unit != kTimeUnits.rend(); ++unit) {
    if (count % unit->milliseconds == 0) {
      return fmt::format("{}{}", count / unit->milliseconds, unit->suffix);
    }
  }
  return {};
}

}  // namespace

Parsed<bool> parse_yes_no(std::string_view text) {
  if (is_yes_no(text, "yes")) return true;
  if (is_yes_no(text, "no")) return false;
  return tl::unexpected(fmt::format("\"{}\" is neither yes nor no", text));
}

Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t number = 0;
  std::string_view rest = text;
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  if (!digits) return tl::unexpected(fmt::format("\"{}\" is not a number in digits alone", text));
  if (!take_digits(rest, 10, number) || number < least || number > most) {
    return tl::unexpected(fmt::format("{} is not between {} and {}", text, least, most));
  }
  return number;
}

Parsed<std::uint32_t> parse_mode(std::string_view text) {
  std::uint64_t mode = 0;
  std::string_view rest = text;
  if (text.empty() || text.find_first_not_of("01234567") != text.npos ||
      !take_digits(rest, 8, mode) || mode > 0777) {
    return tl::unexpected(fmt::format("\"{}\" is not an octal mode of at most 0777", text));
  }
  return static_cast<std::uint32_t>(mode);
}

Parsed<std::chrono::milliseconds> parse_time(std::string_view text, std::chrono::milliseconds least,
                                             std::chrono::milliseconds most) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string_view suffix = text.substr(digits);
  const auto* const unit =
      std::find_if(kTimeUnits.begin(), kTimeUnits.end(),
                   [&](const TimeUnit& known) { return known.suffix == suffix; });
  if (digits == 0 || unit == kTimeUnits.end()) {
    return tl::unexpected(
        fmt::format("\"{}\" is not a time: a number and one of s, m, h, d, w or ms", text));
  }
  std::uint64_t number = 0;
  std::string_view rest = text.substr(0, digits);
  const auto most_count = static_cast<std::uint64_t>(most.count());
  if (take_digits(rest, 10, number) && number <= most_count / unit->milliseconds) {
    const std::chrono::milliseconds time(number * unit->milliseconds);
    if (time >= least && time <= most) return time;
  }
  return tl::unexpected(
      fmt::format("{} is not between {} and {}", text, time_text(least), time_text(most)));
}

Parsed<std::vector<std::string_view>> split_list(std::string_view text) {
  std::vector<std::string_view> words;
  for (;;) {
    text.remove_prefix(std::min(text.find_first_not_of(kSeparators), text.size()));
    if (text.empty()) return words;
    std::size_t level = 0;
    std::size_t end = 0;
    for (; end < text.size(); ++end) {
      if (text[end] == '{') {
        ++level;
      } else if (text[end] == '}' && level > 0) {
        --level;
      } else if (level == 0 && kSeparators.find(text[end]) != text.npos) {
        break;
      }
    }
    if (level > 0) {
      return tl::unexpected(fmt::format("a brace is not closed in \"{}\"", text.substr(0, 60)));
    }
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::optional<std::string_view> braced(std::string_view text) {
  text = trimmed(text);
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return std::nullopt;
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0 && i + 1 < text.size()) return std::nullopt;
  }
  if (depth != 0) return std::nullopt;
  return trimmed(text.substr(1, text.size() - 2));
}

Parsed<TlsVersions> parse_tls_versions(std::string_view text) {
  const auto words = split_list(text);
  if (!words) return tl::unexpected(words.error());
  TlsVersions versions;
  for (const std::string_view word : *words) {
    const std::string_view name = word.substr(std::min<std::size_t>(word.size(), 2));
    const bool known = name == "TLSv1.2" || name == "TLSv1.3";
    if (!known || !(word.starts_with(">=") || word.starts_with("<="))) {
      return tl::unexpected(
          fmt::format("\"{}\" is none of: >=TLSv1.2, >=TLSv1.3, <=TLSv1.2, <=TLSv1.3", word));
    }
    const TlsVersion version = name == "TLSv1.2" ? TlsVersion::tls_1_2 : TlsVersion::tls_1_3;
    (word.starts_with('>') ? versions.least : versions.most) = version;
  }
  if (versions.least > versions.most) {
    return tl::unexpected(fmt::format("\"{}\" leaves no protocol", text));
  }
  return versions;
}

Parsed<std::string> parse_socket_path(std::string path) {
  if (!path.starts_with('/')) {
    return tl::unexpected(fmt::format("\"{}\" is not an absolute path", path));
  }
  if (path.ends_with('/') || (path + '/').find("/../") != std::string::npos) {
    return tl::unexpected(fmt::format("\"{}\" cannot be the path of a socket", path));
  }
  if (path.size() > kLongestSocketPath) {
    return tl::unexpected(fmt::format("{} has {} octets; the path of a unix socket has at most {}",
                                      path, path.size(), kLongestSocketPath));
  }
  return path;
}

}  // namespace lmtpd
