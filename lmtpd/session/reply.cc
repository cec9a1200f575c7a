#include "lmtpd/session/reply.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lmtpd/base/enhanced_code.h"

namespace lmtpd::session {
namespace {

constexpr std::size_t kLongestLine = 512 - 2;  // without CRLF

struct Row {
  Reason reason;
  FixedReply reply;
};

constexpr std::array kReplies{
    Row{Reason::unknown_user, {550, "5.1.1", "User unknown"}},
    Row{Reason::bad_address, kBadRecipient},
    Row{Reason::bad_utf8, {553, "5.6.7", "Recipient address is not valid UTF-8"}},
    Row{Reason::lookup_failed, {451, "4.3.0", "Temporary lookup failure"}},
    Row{Reason::alias_limit, {451, "4.6.0", "Alias expansion error"}},
    Row{Reason::bad_mailbox, {451, "4.3.5", "Mailbox configuration error"}},
    Row{Reason::remote_target, {451, "4.3.5", "Alias target is not a local mailbox"}},
    Row{Reason::transport_error, {550, "5.0.0", "Mail is not accepted here"}},
    Row{Reason::transport_retry, {451, "4.0.0", "Mail is not accepted now"}},
    Row{Reason::no_access, {451, "4.2.0", "Mailbox cannot be written"}},
    Row{Reason::no_space, {452, "4.3.1", "Insufficient system storage"}},
    Row{Reason::over_quota, {552, "5.2.2", "Mailbox is full"}},
    Row{Reason::io, {451, "4.3.0", "Local error in processing"}},
    Row{Reason::too_big, kTooBig},
    Row{Reason::too_many_hops, kTooManyHops},
    Row{Reason::overload, {451, "4.3.2", "Too busy, try again later"}},
};

constexpr FixedReply kFullForNow{452, "4.2.2", "Mailbox is full"};

consteval bool every_reason_in_place() {
  if (kReplies.size() != static_cast<std::size_t>(kLastReason) + 1) return false;
  for (std::size_t i = 0; i < kReplies.size(); ++i) {
    const Row& row = kReplies[i];
    if (static_cast<std::size_t>(row.reason) != i) return false;
    if (row.reply.enhanced[0] - '0' != row.reply.code / 100) return false;
  }
  return true;
}
static_assert(every_reason_in_place());

}  // namespace

Reply reply_to(const Error& error, bool defer_over_quota) {
  Reply reply = kReplies[static_cast<std::size_t>(error.reason)].reply;
  if (error.reason == Reason::over_quota && defer_over_quota) reply = kFullForNow;
  std::string_view words = error.text;
  if (error.reason == Reason::transport_error || error.reason == Reason::transport_retry) {
    std::string_view rest = words;
    const std::string_view code = take_enhanced_code(rest);
    if (code.starts_with(reply.enhanced[0])) {
      reply.enhanced = code;
      words = rest;
    }
  }
  if (!words.empty()) reply.text = words;
  return reply;
}

Reply deferring_reply_to(const Error& error) {
  Reply reply = reply_to(error, true);
  if (reply.permanent()) {
    const std::string words = reply.text;
    reply = kReplies[static_cast<std::size_t>(Reason::io)].reply;
    reply.text = words;
  }
  return reply;
}

std::string reply_line(const Reply& reply) {
  std::string line = reply.enhanced.empty()
                         ? fmt::format("{} {}", reply.code, reply.text)
                         : fmt::format("{} {} {}", reply.code, reply.enhanced, reply.text);
  if (line.size() > kLongestLine) line.resize(kLongestLine);
  // A client that did not announce SMTPUTF8 gets no UTF-8 (RFC 6531 3.5), and none needs it.
  std::ranges::replace_if(line, [](unsigned char c) { return c < 0x20 || c >= 0x7F; }, '?');
  return line;
}

std::string multiline_reply(int code, std::span<const std::string> lines) {
  std::string out;
  for (const std::string& line : lines) {
    out += fmt::format("{}{}{}\r\n", code, &line == &lines.back() ? ' ' : '-', line);
  }
  return out;
}

}  // namespace lmtpd::session
