// lmtpd/base/config/parameter_reader.h -- turns the text of one parameter after the other into a
// member, and notes what is wrong.
//
// A parameter whose text is of no use leaves the member as it was, but for file(), files() and
// ciphers(), which keep it for the rules that follow.
#pragma once

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lmtpd/base/config/complaints.h"
#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/config/values.h"

namespace lmtpd {

class ParameterReader {
 public:
  using Duration = Settings::Duration;
  static constexpr std::uint32_t kMost = std::numeric_limits<std::int32_t>::max();

  explicit ParameterReader(const Parameters& parameters) : parameters_(parameters) {}

  [[nodiscard]] const std::string& text(std::string_view name) const {
    return parameters_.value(name);
  }
  void complain(std::string_view name, std::string_view what) {
    complaints_.add(fmt::format("{}: {}", parameters_.origin(name), name), what);
  }
  [[nodiscard]] const Complaints& complaints() const { return complaints_; }

  template <class T>
  void store(std::string_view name, Parsed<T> parsed, T& member) {
    if (parsed) {
      member = std::move(*parsed);
    } else {
      complain(name, parsed.error());
    }
  }

  void yes_no(std::string_view name, bool& member) {
    store(name, parse_yes_no(text(name)), member);
  }
  void number(std::string_view name, std::uint32_t& member, std::uint32_t least = 1,
              std::uint32_t most = kMost);
  // Octets.
  void size(std::string_view name, std::uint64_t& member, std::uint64_t least);
  void time(std::string_view name, Duration& member, Duration least);
  void tables(std::string_view name, TableList& member) {
    store(name, parse_table_list(text(name)), member);
  }
  void required_tables(std::string_view name, TableList& member);
  void matches(std::string_view name, MatchList& member) {
    store(name, parse_match_list(text(name)), member);
  }
  void socket_path(std::string_view name, std::string& member) {
    store(name, parse_socket_path(text(name)), member);
  }

  // A list of any of `known`, which may be empty; in_capitals: those are, and any case is taken.
  enum class Letters : std::uint8_t { as_written, in_capitals };
  void words(std::string_view name, std::vector<std::string>& member,
             std::span<const std::string_view> known, Letters letters = Letters::as_written);

  // Without the slashes at its end.
  void directory(std::string_view name, std::string& member);
  // The absolute path of a file, or nothing.
  void file(std::string_view name, std::string& member);
  void files(std::string_view name, std::vector<std::string>& member);
  // Of the characters of ciphers(1); whether it names any, OpenSSL says later.
  void ciphers(std::string_view name, std::string& member);
  // Of one user or group.
  void account(std::string_view name, std::string& member);
  // user:group
  void user_group(std::string_view name, UserGroup& member);
  // The name of a host or domain.
  void host(std::string_view name, std::string& member);
  // As `hosts` in pgsql_table(5); whether a host or URI is one, libpq says later.
  void database_hosts(std::string_view name, std::string& member);

  template <class Choice, std::size_t N>
  void choice(std::string_view name, Choice& member,
              const std::array<std::pair<std::string_view, Choice>, N>& choices) {
    std::string words;
    for (const auto& [word, value] : choices) {
      if (text(name) == word) {
        member = value;
        return;
      }
      words += words.empty() ? "" : ", ";
      words += word;
    }
    complain(name, fmt::format("\"{}\" is none of: {}", text(name), words));
  }

 private:
  const Parameters& parameters_;
  Complaints complaints_;
};

}  // namespace lmtpd
