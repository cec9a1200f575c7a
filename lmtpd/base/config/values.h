// lmtpd/base/config/values.h -- the text of one value into its type. Pure; an error says what is
// wrong with the text and names no parameter.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "lmtpd/base/config/listen_spec.h"
#include "lmtpd/base/config/table_ref.h"
#include "lmtpd/base/config/tls_versions.h"

namespace lmtpd {

template <class T>
using Parsed = tl::expected<T, std::string>;

// yes or no, in any case.
[[nodiscard]] Parsed<bool> parse_yes_no(std::string_view text);
// Decimal digits only.
[[nodiscard]] Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t least,
                                                 std::uint64_t most);
// Octal digits only, at most 0777.
[[nodiscard]] Parsed<std::uint32_t> parse_mode(std::string_view text);
// A number and one of s, m, h, d, w (Postfix's) or ms; s where there is none.
[[nodiscard]] Parsed<std::chrono::milliseconds> parse_time(std::string_view text,
                                                           std::chrono::milliseconds least,
                                                           std::chrono::milliseconds most);

// Words between commas and blanks; a comma or blank within braces parts nothing.
[[nodiscard]] Parsed<std::vector<std::string_view>> split_list(std::string_view text);
// What one pair of braces around the whole of `text` holds, trimmed; else nullopt.
[[nodiscard]] std::optional<std::string_view> braced(std::string_view text);

[[nodiscard]] Parsed<TableRef> parse_table_ref(std::string_view word);
[[nodiscard]] Parsed<TableList> parse_table_list(std::string_view text);
[[nodiscard]] Parsed<MatchList> parse_match_list(std::string_view text);

// none, may or encrypt.
[[nodiscard]] Parsed<TlsLevel> parse_tls_level(std::string_view text);
// ">=TLSv1.2", "<=TLSv1.2" and the like, as Postfix has it since 3.6, of TLSv1.2 and TLSv1.3.
[[nodiscard]] Parsed<TlsVersions> parse_tls_versions(std::string_view text);
// `queue_directory` is where the relative path of a unix socket begins.
[[nodiscard]] Parsed<ListenSpec> parse_listen_spec(std::string_view word,
                                                   const std::string& queue_directory);
[[nodiscard]] Parsed<std::vector<ListenSpec>> parse_listen_list(std::string_view text,
                                                                const std::string& queue_directory);

// sun_path of unix(7), with room for a suffix of a name to bind to (lmtpd/master/unix_listener.h).
inline constexpr std::size_t kLongestSocketPath = 103;  // octets
// An absolute path without `..`, and not longer.
[[nodiscard]] Parsed<std::string> parse_socket_path(std::string path);

}  // namespace lmtpd
