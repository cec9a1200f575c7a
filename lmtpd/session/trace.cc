#include "lmtpd/session/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "lmtpd/base/capitals.h"
#include "lmtpd/base/log.h"

namespace lmtpd::session {
namespace {

std::string clean(std::string_view text) {
  return escaped(text, std::numeric_limits<std::size_t>::max() / 2);
}

// A name, or a name with an address literal beside it.
std::string clean_name(std::string_view text) {
  constexpr std::size_t kLongestName = 255;
  std::string out(text.substr(0, kLongestName));
  std::ranges::replace_if(
      out,
      [](char c) {
        const bool plain =
            (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        return !plain && std::string_view("-._:[] ").find(c) == std::string_view::npos;
      },
      '?');
  return out;
}

// Postfix's words; what a certificate says may hold no quote, parenthesis or backslash.
std::string tls_comment(const TlsFacts& tls) {
  std::string out =
      fmt::format("(using {} with cipher {} ({}/{} bits))\n\t", clean_name(tls.protocol),
                  clean_name(tls.cipher), tls.used_bits, tls.cipher_bits);
  switch (tls.client) {
    case TlsFacts::Client::not_asked:
      return out + "(No client certificate requested)\n\t";
    case TlsFacts::Client::none:
      return out + "(Client did not present a certificate)\n\t";
    case TlsFacts::Client::untrusted:
    case TlsFacts::Client::verified:
      break;
  }
  return out +
         fmt::format("(Client CN \"{}\", Issuer \"{}\" ({}))\n\t", clean_name(tls.client_name),
                     clean_name(tls.client_issuer),
                     tls.client == TlsFacts::Client::verified ? "verified OK" : "not verified");
}

}  // namespace

std::string log_words(const TlsFacts& tls) {
  std::string out = fmt::format("tls={}, cipher={} ({}/{} bits)", escaped(tls.protocol),
                                escaped(tls.cipher), tls.used_bits, tls.cipher_bits);
  if (tls.client == TlsFacts::Client::untrusted || tls.client == TlsFacts::Client::verified) {
    out += fmt::format(", certificate={}, subject={}, issuer={}",
                       tls.client == TlsFacts::Client::verified ? "verified" : "untrusted",
                       escaped(tls.client_name), escaped(tls.client_issuer));
  }
  return out;
}

std::string return_path_field(const std::optional<Address>& sender) {
  return fmt::format("Return-Path: <{}>\n", sender ? clean(sender->external()) : "");
}

std::string original_to_field(std::string_view original, std::string_view final_address) {
  if (equal_ignoring_case(original, final_address)) return {};
  return fmt::format("X-Original-To: {}\n", clean(original));
}

std::string delivered_to_field(std::string_view final_address) {
  return fmt::format("Delivered-To: {}\n", clean(final_address));
}

std::string received_field(const Hop& hop) {
  std::string out =
      fmt::format("Received: from {} ({})\n\t{}by {} with {} id {}", clean_name(hop.lhlo_name),
                  clean_name(hop.received_from), hop.tls == nullptr ? "" : tls_comment(*hop.tls),
                  clean_name(hop.hostname), hop.protocol, clean_name(hop.id));
  if (!hop.for_recipient.empty()) out += fmt::format("\n\tfor <{}>", clean(hop.for_recipient));
  out += fmt::format(";\n\t{}\n", date_time(hop.time));
  return out;
}

std::string with_crlf(std::string_view fields) {
  std::string out;
  for (const char c : fields) {
    if (c == '\n') out += '\r';
    out += c;
  }
  return out;
}

std::string date_time(std::time_t time) {
  // strftime(3)'s names would follow the locale.
  static constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm local{};
  localtime_r(&time, &local);
  const long minutes = local.tm_gmtoff / 60;
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} {}{:02}{:02}",
                     kDays[static_cast<std::size_t>(local.tm_wday)], local.tm_mday,
                     kMonths[static_cast<std::size_t>(local.tm_mon)], local.tm_year + 1900,
                     local.tm_hour, local.tm_min, local.tm_sec, minutes < 0 ? '-' : '+',
                     std::abs(minutes) / 60, std::abs(minutes) % 60);
}

}  // namespace lmtpd::session
