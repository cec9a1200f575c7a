#include "lmtpd/session/recipient_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "lmtpd/base/capitals.h"
#include "lmtpd/base/log.h"

namespace lmtpd::session {
namespace {

// Seconds, as short as milliseconds allow: "0", "0.02", "12.5".
std::string seconds(std::chrono::nanoseconds span) {
  using std::chrono::milliseconds;
  const auto total = std::max(milliseconds::zero(), std::chrono::round<milliseconds>(span)).count();
  std::string text = fmt::format("{}.{:03}", total / 1000, total % 1000);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string_view status(const Reply& reply) {
  if (reply.positive()) return "sent";
  return reply.permanent() ? "bounced" : "deferred";
}

// With nothing in it that ends a field: a quoted local part, or ORCPT, may hold any character.
std::string address(std::string_view text) {
  std::string shown = escaped(text);
  std::ranges::replace_if(
      shown, [](char c) { return std::string_view("<>, ").find(c) != std::string_view::npos; },
      '?');
  return shown;
}

}  // namespace

std::string format_line(const RecipientLine& line, const Reply& reply) {
  std::string out = fmt::format("{}: to=<{}>, ", line.id, address(line.to));
  if (!equal_ignoring_case(line.original, line.to)) {
    out += fmt::format("orig_to=<{}>, ", address(line.original));
  }
  out += fmt::format(
      "relay={}, delay={}, delays={}/{}/{}/{}, dsn={}, status={} ({})",
      line.mailbox.empty() ? "none" : escaped(line.mailbox),
      seconds(line.until_rcpt + line.until_resolved + line.until_dot + line.until_stored),
      seconds(line.until_rcpt), seconds(line.until_resolved), seconds(line.until_dot),
      seconds(line.until_stored), reply.enhanced, status(reply), reply_line(reply));
  if (line.message) out += fmt::format(", size={}", line.message->size);
  out += fmt::format(", client={}", escaped(line.client));
  const Origin origin = line.origin == nullptr ? Origin() : *line.origin;
  if (!origin.queue_id.empty()) out += fmt::format(", orig_queue_id={}", escaped(origin.queue_id));
  if (const std::string client = log_name(origin); !client.empty()) {
    out += fmt::format(", orig_client={}", escaped(client));
  }
  if (line.message) out += fmt::format(", message-id={}", escaped(line.message->message_id));
  return out;
}

}  // namespace lmtpd::session
