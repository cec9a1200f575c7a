// lmtpd/session/trace.h -- the header fields that a delivery puts before a message (RFC 5321 4.4).
//
// Pure functions; each returns whole lines with LF. No octet that came from outside can end a line
// or begin one: controls and broken UTF-8 become `?`, and in Received's words all that could be
// taken for its syntax.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "lmtpd/base/address.h"
#include "lmtpd/session/session.h"

namespace lmtpd::session {

// Without an address: the null reverse-path.
[[nodiscard]] std::string return_path_field(const std::optional<Address>& sender);

// Where the message was sent before aliases led it to `final_address`; empty where the two are the
// same without regard to case.
[[nodiscard]] std::string original_to_field(std::string_view original,
                                            std::string_view final_address);

[[nodiscard]] std::string delivered_to_field(std::string_view final_address);

struct Hop {
  std::string_view lhlo_name;
  std::string_view received_from;
  std::string_view hostname;
  std::string_view protocol;      // "LMTP" to "UTF8LMTPSA" (RFC 3848, RFC 6531 4.3)
  const TlsFacts* tls = nullptr;  // a comment, as Postfix has it
  std::string_view id;
  std::string_view for_recipient;  // empty: the message has several (RFC 5321 7.2)
  std::time_t time = 0;
};
[[nodiscard]] std::string received_field(const Hop& hop);

// "tls=TLSv1.3, cipher=NAME (256/256 bits), certificate=verified, subject=..., issuer=..." of a log
// line.
[[nodiscard]] std::string log_words(const TlsFacts& tls);

// The same fields with CR LF, for a message that is stored as it was sent.
[[nodiscard]] std::string with_crlf(std::string_view fields);

// "Sat, 22 Nov 2025 23:05:00 +0000" (RFC 5322 3.3), in the process's time zone.
[[nodiscard]] std::string date_time(std::time_t time);

}  // namespace lmtpd::session
