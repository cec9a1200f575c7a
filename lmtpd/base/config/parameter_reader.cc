#include "lmtpd/base/config/parameter_reader.h"

#include <algorithm>

#include "lmtpd/base/capitals.h"

namespace lmtpd {
namespace {

using std::chrono_literals::operator""h;

// 24 days: its milliseconds fit into 31 bits.
constexpr ParameterReader::Duration kLongestTime = 24h * 24;
constexpr std::uint64_t kMostOctets = std::numeric_limits<std::int64_t>::max();

// A user's or a group's name: both stand with a colon between them.
bool is_account(std::string_view word) {
  return !word.empty() && word.find_first_of(": \t\r\n,/") == std::string_view::npos;
}

}  // namespace

void ParameterReader::number(std::string_view name, std::uint32_t& member, std::uint32_t least,
                             std::uint32_t most) {
  const auto parsed = parse_number(text(name), least, most);
  if (parsed) {
    member = static_cast<std::uint32_t>(*parsed);
  } else {
    complain(name, parsed.error());
  }
}

void ParameterReader::size(std::string_view name, std::uint64_t& member, std::uint64_t least) {
  store(name, parse_number(text(name), least, kMostOctets), member);
}

void ParameterReader::time(std::string_view name, Duration& member, Duration least) {
  store(name, parse_time(text(name), least, kLongestTime), member);
}

void ParameterReader::words(std::string_view name, std::vector<std::string>& member,
                            std::span<const std::string_view> known, Letters letters) {
  const auto words = split_list(text(name));
  if (!words) return complain(name, words.error());
  member.clear();
  for (const std::string_view word : *words) {
    member.push_back(letters == Letters::in_capitals ? capitals(word) : std::string(word));
    if (std::ranges::count(known, std::string_view(member.back())) == 0) {
      complain(name, fmt::format("\"{}\" is none of: {}", word, fmt::join(known, ", ")));
    }
  }
}

void ParameterReader::required_tables(std::string_view name, TableList& member) {
  auto parsed = parse_table_list(text(name));
  if (parsed && parsed->empty()) parsed = tl::unexpected(std::string("must name a table"));
  store(name, std::move(parsed), member);
}

void ParameterReader::directory(std::string_view name, std::string& member) {
  std::string path = text(name);
  if (!path.starts_with('/')) {
    complain(name,
             path.empty() ? "must be set" : fmt::format("\"{}\" is not an absolute path", path));
    return;
  }
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  member = std::move(path);
}

void ParameterReader::file(std::string_view name, std::string& member) {
  if (!text(name).empty() && !text(name).starts_with('/')) {
    complain(name, fmt::format("\"{}\" is not an absolute path", text(name)));
  }
  member = text(name);
}

void ParameterReader::files(std::string_view name, std::vector<std::string>& member) {
  const auto words = split_list(text(name));
  if (!words) return complain(name, words.error());
  for (const std::string_view word : *words) {
    if (!word.starts_with('/')) {
      complain(name, fmt::format("\"{}\" is not an absolute path", word));
    }
    member.emplace_back(word);
  }
}

void ParameterReader::ciphers(std::string_view name, std::string& member) {
  constexpr std::string_view kOctets =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:,!+@=";
  member = text(name);
  if (member.find_first_not_of(kOctets) != std::string::npos) {
    complain(name, fmt::format("\"{}\" is not a list of ciphers", member));
  }
}

void ParameterReader::account(std::string_view name, std::string& member) {
  if (is_account(text(name))) {
    member = text(name);
  } else {
    complain(name, fmt::format("\"{}\" is not the name of one user or group", text(name)));
  }
}

void ParameterReader::user_group(std::string_view name, UserGroup& member) {
  const std::string& value = text(name);
  const std::size_t colon = std::min(value.find(':'), value.size());
  UserGroup parsed{value.substr(0, colon), value.substr(std::min(colon + 1, value.size()))};
  if (is_account(parsed.user) && is_account(parsed.group)) {
    member = std::move(parsed);
  } else {
    complain(name, fmt::format("\"{}\" is not of the form user:group", value));
  }
}

void ParameterReader::host(std::string_view name, std::string& member) {
  constexpr std::string_view kOctets =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
  const std::string& value = text(name);
  // Octets beyond ASCII are those of an internationalised name.
  const bool valid = !value.empty() && value.size() <= 253 && !value.starts_with('.') &&
                     !value.ends_with('.') && value.find("..") == std::string::npos &&
                     std::all_of(value.begin(), value.end(), [&](char c) {
                       return (static_cast<unsigned char>(c) & 0x80) != 0 ||
                              kOctets.find(c) != std::string_view::npos;
                     });
  if (valid) {
    member = value;
  } else {
    complain(name, fmt::format("\"{}\" is not the name of a host or domain", value));
  }
}

void ParameterReader::database_hosts(std::string_view name, std::string& member) {
  const std::string& value = text(name);
  const auto items = split_list(value);
  const auto is_host = [](std::string_view item) {
    return item.find("://") != std::string_view::npos ||
           item.find_first_of("@%{}=") == std::string_view::npos;
  };
  if (items && std::all_of(items->begin(), items->end(), is_host)) {
    member = value;
  } else {
    complain(name, fmt::format("\"{}\" is not a list of database hosts", value));
  }
}

}  // namespace lmtpd
