// lmtpd/session/reply.h -- what the client is told: code, enhanced status code, words.
//
// The one place where a Reason becomes 4xx or 5xx. Codes follow RFC 5321 4.2, enhanced codes RFC
// 3463 and RFC 5248; Postfix takes its decision from the enhanced code's first digit, so it always
// equals the code's.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lmtpd/base/counter.h"
#include "lmtpd/base/result.h"

namespace lmtpd::session {

// A reply whose words are known beforehand. No enhanced code: the greeting, the answers to LHLO,
// HELO and EHLO, and 354 (RFC 2034 section 4).
struct FixedReply {
  int code;
  std::string_view enhanced;
  std::string_view text;
};

struct Reply {
  Reply(int c, std::string_view e, std::string_view t) : code(c), enhanced(e), text(t) {}
  Reply(const FixedReply& fixed) : Reply(fixed.code, fixed.enhanced, fixed.text) {}  // NOLINT

  [[nodiscard]] bool positive() const { return code < 400; }
  [[nodiscard]] bool permanent() const { return code >= 500; }

  int code;
  std::string enhanced;
  std::string text;
};

// A session's last reply, behind which it is closed, and what is counted then.
struct Ending {
  FixedReply reply;
  std::optional<Counter> counter = std::nullopt;
};

inline constexpr FixedReply kStartTls{220, "2.0.0", "Ready to start TLS"};
inline constexpr FixedReply kOk{250, "2.0.0", "Ok"};
inline constexpr FixedReply kSenderOk{250, "2.1.0", "Ok"};
inline constexpr FixedReply kRecipientOk{250, "2.1.5", "Ok"};
inline constexpr FixedReply kCannotVerify{252, "2.1.5", "Send some mail, I will try my best"};
inline constexpr FixedReply kChunkOk{250, "2.0.0", "Chunk received"};
inline constexpr FixedReply kStartData{354, "", "End data with <CR><LF>.<CR><LF>"};

inline constexpr FixedReply kAuthenticated{235, "2.7.0", "Authentication successful"};
inline constexpr FixedReply kCannotAuthenticate{454, "4.7.0", "Temporary authentication failure"};
inline constexpr FixedReply kResponseTooLong{500, "5.5.6", "Authentication response too long"};
inline constexpr FixedReply kNotBase64{501, "5.5.2", "Not base64"};
inline constexpr FixedReply kAuthCancelled{501, "5.7.0", "Authentication cancelled"};
inline constexpr FixedReply kUnknownMechanism{504, "5.5.4", "Authentication mechanism unknown"};
inline constexpr FixedReply kAuthRequired{530, "5.7.0", "Authentication required"};
inline constexpr FixedReply kNotTrusted{450, "4.7.1", "Access denied: this client is not trusted"};
inline constexpr FixedReply kWrongPassword{535, "5.7.8", "Authentication failed"};
inline constexpr FixedReply kEncryptionRequired{
    538, "5.7.11", "Encryption required for this authentication mechanism"};

inline constexpr Ending kBye{{221, "2.0.0", "Bye"}};
inline constexpr Ending kSilentTooLong{{421, "4.4.2", "Timeout, closing connection"},
                                       Counter::session_timeout_hits};
inline constexpr Ending kTransactionTooLong{
    {421, "4.4.2", "Transaction took too long, closing connection"},
    Counter::transaction_time_limit_hits};
inline constexpr Ending kShutdown{{421, "4.3.2", "Service shutting down, closing connection"}};
inline constexpr Ending kTurnedAway{{421, "4.3.2", "Too many connections, closing connection"}};
inline constexpr Ending kLostCount{{421, "4.5.4", "Unknown size, closing connection"}};
inline constexpr Ending kStrayTooBig{
    {421, "4.3.4", "Chunk exceeds the size limit, closing connection"},
    Counter::message_size_limit_hits};
inline constexpr Ending kTooManyErrors{{421, "4.7.0", "Too many errors, closing connection"},
                                       Counter::error_limit_hits};
inline constexpr Ending kTooMuchJunk{
    {421, "4.7.0", "Too many commands without a message, closing connection"},
    Counter::junk_command_limit_hits};

inline constexpr FixedReply kTooManyConnections{451, "4.3.2",
                                                "Too many connections, try again later"};
inline constexpr FixedReply kTooManyRecipients{452, "4.5.3", "Too many recipients"};
inline constexpr FixedReply kTooManyMailboxes{452, "4.5.3", "Too many mailboxes of recipients"};
inline constexpr FixedReply kNoRoomForRecipient{452, "4.3.1", "No room for the recipient now"};
inline constexpr FixedReply kNoRoomForBody{452, "4.3.1", "No room for the message now"};

inline constexpr FixedReply kSayLhlo{500, "", "This is LMTP: say LHLO"};
inline constexpr FixedReply kLhloNeedsName{501, "",
                                           "LHLO needs a name, without control characters"};
inline constexpr FixedReply kUnknownCommand{500, "5.5.1", "Command unknown"};
inline constexpr FixedReply kLineTooLong{500, "5.5.2", "Command line too long"};
inline constexpr FixedReply kBareNewline{500, "5.5.2", "Only CR LF ends a command"};
inline constexpr FixedReply kNulInCommand{500, "5.5.2", "NUL in a command"};
inline constexpr FixedReply kBadSyntax{501, "5.5.4", "Syntax error in arguments"};
inline constexpr FixedReply kNoArgument{501, "5.5.4", "An argument is missing"};
inline constexpr FixedReply kNeedlessArgument{501, "5.5.4", "No argument is allowed"};
inline constexpr FixedReply kBadParameter{501, "5.5.4", "Bad parameter value"};
inline constexpr FixedReply kUnknownAttribute{501, "5.5.4", "Attribute not recognized"};
inline constexpr FixedReply kRepeatedParameter{501, "5.5.4", "Parameter given twice"};
inline constexpr FixedReply kVrfyDisabled{502, "5.5.1", "VRFY is disabled"};
inline constexpr FixedReply kNotImplemented{502, "5.5.1", "Command not implemented"};
inline constexpr FixedReply kBadSequence{503, "5.5.1", "Bad sequence of commands"};
inline constexpr FixedReply kBinaryWantsBdat{503, "5.5.1", "A BINARYMIME message comes by BDAT"};
inline constexpr FixedReply kTlsFirst{530, "5.7.0", "Must issue a STARTTLS command first"};
inline constexpr FixedReply kNotAuthorized{550, "5.7.0", "Insufficient authorization"};
inline constexpr FixedReply kBareNewlineInData{550, "5.6.0", "Message holds a bare newline"};
inline constexpr FixedReply kTooBig{552, "5.3.4", "Message exceeds the size limit"};
inline constexpr FixedReply kBadSender{553, "5.1.7", "Bad sender address syntax"};
inline constexpr FixedReply kBadSenderUtf8{553, "5.6.7", "Sender address is not valid UTF-8"};
inline constexpr FixedReply kBadRecipient{553, "5.1.3", "Bad recipient address syntax"};
inline constexpr FixedReply kTooManyHops{554, "5.4.6", "Too many hops"};
inline constexpr FixedReply kUnknownParameter{555, "5.5.4", "Parameter not recognized"};

// `error`'s words, or the table's own where it has none. `defer_over_quota`: over_quota = defer.
[[nodiscard]] Reply reply_to(const Error& error, bool defer_over_quota);

// The same for one mailbox among several of a recipient: never 5xx, which would bounce the mail for
// the mailboxes that took it.
[[nodiscard]] Reply deferring_reply_to(const Error& error);

// "250 2.1.5 Ok", without CRLF: printable ASCII, cut to what fits a reply line (RFC
// 5321 4.5.3.1.5).
[[nodiscard]] std::string reply_line(const Reply& reply);

// A reply of several lines with CRLF behind each; no enhanced codes (LHLO).
[[nodiscard]] std::string multiline_reply(int code, std::span<const std::string> lines);

}  // namespace lmtpd::session
