// lmtpd/session/recipient_log.h -- the log's line on one recipient, in Postfix's manner.
//
//   ID: to=<final>, orig_to=<original>, relay=PATH, delay=0.9, delays=0.1/0.2/0.5/0.1, dsn=2.0.0,
//   status=sent (250 2.0.0 Stored), size=1234, client=unix, orig_queue_id=4Z1X,
//   orig_client=mx.example[192.0.2.1], message-id=<...>
//
// (on one line). delays: from MAIL to this RCPT, until its mailboxes were known, until the dot,
// until the message was stored. relay is the mailbox, `none` where there is none; size and
// message-id stand behind a message only. orig_queue_id and orig_client are XFORWARD's. Every text
// that came from outside is escaped and cut at 255 octets. What could make an address look like
// further fields is "?" in it. message-id is last: it may hold blanks and commas.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lmtpd/session/forwarding.h"
#include "lmtpd/session/reply.h"

namespace lmtpd::session {

struct RecipientLine {
  struct Message {
    std::uint64_t size = 0;  // octets as received (RFC 1870)
    std::string_view message_id;
  };

  std::string_view id;
  std::string_view to;
  std::string_view original;  // left out where it equals `to` without regard to case
  std::string_view mailbox;
  std::chrono::nanoseconds until_rcpt{};
  std::chrono::nanoseconds until_resolved{};
  std::chrono::nanoseconds until_dot{};
  std::chrono::nanoseconds until_stored{};
  std::optional<Message> message;
  std::string_view client;
  const Origin* origin = nullptr;  // nullptr: the client said nothing of it
};

[[nodiscard]] std::string format_line(const RecipientLine& line, const Reply& reply);

}  // namespace lmtpd::session
