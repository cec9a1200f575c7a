#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "lmtpd/base/capitals.h"
#include "lmtpd/session/path_parser.h"
#include "lmtpd/session/session_impl.h"
#include "lmtpd/session/words.h"

namespace lmtpd::session {
namespace {

constexpr std::size_t kLongestName = 255;       // octets of LHLO's argument that are kept
constexpr std::size_t kHighestLimit = 999'999;  // RFC 9422 4: of six digits

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

}  // namespace

struct Session::Impl::Table {
  using enum Args;
  using enum State;

  // clang-format off
  static constexpr std::array kCommands{
      //                                                    ends     in the
      //  verb        legal in                   arguments  a group  clear    handler                     out of turn, step
      Row{"LHLO",     kAny,                      optional,  true,    true,    &Impl::on_lhlo},
      Row{"MAIL",     in(ready),                 required,  false,   false,   &Impl::on_mail,             nullptr, MessageStep::first},
      Row{"RCPT",     in(mail, resolving, rcpt), required,  false,   false,   &Impl::on_rcpt,             nullptr, MessageStep::further},
      Row{"DATA",     in(rcpt),                  none,      true,    false,   &Impl::on_data,             nullptr, MessageStep::further},
      Row{"BDAT",     in(rcpt, chunks),          optional,  true,    true,    &Impl::on_bdat,             &Impl::on_bdat_out_of_turn, MessageStep::further},
      Row{"AUTH",     in(ready),                 optional,  true,    false,   &Impl::on_auth},
      Row{"RSET",     kAny,                      none,      true,    false,   &Impl::on_rset},
      Row{"NOOP",     kAny,                      optional,  true,    true,    &Impl::on_noop},
      Row{"VRFY",     kAny,                      required,  true,    false,   &Impl::on_vrfy},
      Row{"QUIT",     kAny,                      none,      true,    true,    &Impl::on_quit},
      Row{"XCLIENT",  in(start, ready),          required,  true,    false,   &Impl::on_xclient},
      Row{"XFORWARD", in(start, ready),          required,  false,   false,   &Impl::on_xforward},
      Row{"HELO",     kAny,                      optional,  true,    true,    &Impl::on_wrong_greeting},
      Row{"EHLO",     kAny,                      optional,  true,    true,    &Impl::on_wrong_greeting},
      Row{"HELP",     kAny,                      optional,  true,    false,   &Impl::on_not_implemented},
      Row{"EXPN",     kAny,                      optional,  true,    false,   &Impl::on_not_implemented},
      Row{"ETRN",     kAny,                      optional,  true,    false,   &Impl::on_not_implemented},
      Row{"TURN",     kAny,                      optional,  true,    false,   &Impl::on_not_implemented},
  };
  // What is no command.
  static constexpr Row kUnknown     {"", kAny, optional, true, true, &Impl::on_unknown};
  static constexpr Row kTooLong     {"", kAny, optional, true, true, &Impl::on_line_too_long};
  static constexpr Row kBareNewline {"", kAny, optional, true, true, &Impl::on_bare_newline};
  static constexpr Row kNul         {"", kAny, optional, true, true, &Impl::on_nul};
  // STARTTLS depends on what the session has.
  static constexpr std::string_view kStarttls = "STARTTLS";
  static constexpr Row kTlsOffered  {kStarttls, in(ready), none,     true, true, &Impl::on_starttls};
  static constexpr Row kTlsNotThere {kStarttls, kAny,      optional, true, true, &Impl::on_not_implemented};
  static constexpr Row kTlsAlready  {kStarttls, States(0), optional, true, true, nullptr};
  // clang-format on
};

Session::Impl::Command Session::Impl::parse(const CommandLine& line) const {
  switch (line.fault) {
    case LineFault::too_long:
      return {&Table::kTooLong, {}, {}};
    case LineFault::bare_newline:
      return {&Table::kBareNewline, {}, {}};
    case LineFault::nul:
      return {&Table::kNul, {}, {}};
    case LineFault::none:
      break;
  }
  // White space behind a command is tolerated (RFC 5321 4.1.1).
  const std::string_view text = line.text.substr(0, line.text.find_last_not_of(" \t") + 1);
  std::string_view argument = text;
  const std::string_view verb = take_word(argument);
  for (const Row& row : Table::kCommands) {
    if (equal_ignoring_case(verb, row.verb)) return {&row, verb, argument};
  }
  if (equal_ignoring_case(verb, Table::kStarttls)) {
    if (tls_) return {&Table::kTlsAlready, verb, argument};
    const bool offered = settings_.tls != TlsLevel::none;
    return {offered ? &Table::kTlsOffered : &Table::kTlsNotThere, verb, argument};
  }
  return {&Table::kUnknown, verb, argument};
}

void Session::Impl::on_lhlo(std::string_view argument) {
  if (argument.empty() || has_control(argument)) return answer(kLhloNeedsName);
  lhlo_name_ = argument.substr(0, kLongestName);
  std::vector lines{
      settings_.hostname,
      std::string("PIPELINING"),
      std::string("ENHANCEDSTATUSCODES"),
      std::string("8BITMIME"),
      std::string("SMTPUTF8"),
      std::string("CHUNKING"),
      std::string("BINARYMIME"),
      fmt::format("LIMITS RCPTMAX={}", std::min(settings_.recipient_limit, kHighestLimit)),
      fmt::format("SIZE {}", settings_.size_announced)};
  if (settings_.tls != TlsLevel::none && !tls_) lines.emplace_back("STARTTLS");
  if (connected_.trusted && !needs_tls()) {
    lines.push_back(fmt::format("XCLIENT {}", kXclientAttributes));
    lines.push_back(fmt::format("XFORWARD {}", kXforwardAttributes));
  }
  const std::vector<std::string> mechanisms = mechanisms_offered();
  if (!mechanisms.empty()) lines.push_back(fmt::format("AUTH {}", fmt::join(mechanisms, " ")));
  output_ += multiline_reply(250, lines);
  state_ = State::ready;
  enter_ready();
}

void Session::Impl::on_mail(std::string_view argument) {
  if (const auto refusal = refusal_of_stranger()) {
    backend_.count(Counter::untrusted_refused);
    return answer(*refusal);
  }
  const auto path = parse_path(argument, "FROM:", settings_.strict_rfc821_envelopes, kBadSender);
  if (!path) return answer(path.error());
  const auto parameters = parse_mail_parameters(path->parameters, settings_.auth != AuthUse::none);
  if (!parameters) return answer(parameters.error());
  std::optional<Address> sender;
  if (!path->mailbox.empty()) {
    auto address = Address::parse(path->mailbox);
    if (!address) {
      return answer(address.error().reason == Reason::bad_utf8 ? kBadSenderUtf8 : kBadSender);
    }
    sender = *std::move(address);
  }
  if (is_too_big(parameters->size)) {
    backend_.count(Counter::message_size_limit_hits);
    return answer(kTooBig);
  }
  if (!backend_.may_send_mail()) {
    patience_.excuse_commands();
    return answer(kTooManyConnections);
  }
  transaction_.emplace();
  transaction_->id = fmt::format("{}.{}", id_, ++transactions_);
  transaction_->started = last_activity_;
  transaction_->sender = std::move(sender);
  transaction_->parameters = *parameters;
  state_ = State::mail;
  if (user_) log_sender();
  answer(kSenderOk);
}

void Session::Impl::on_rcpt(std::string_view argument) {
  Recipient recipient;
  recipient.address = argument;
  recipient.original = argument;
  recipient.asked = last_activity_;
  recipient.resolved = last_activity_;
  const auto refuse = [&](const Reply& reply) {
    note_refusal(recipient, reply);
    answer_in_turn(reply);
  };
  const auto path = parse_path(argument, "TO:", settings_.strict_rfc821_envelopes, kBadRecipient);
  if (path) {
    recipient.address = path->mailbox;
    recipient.original = path->mailbox;
  }
  if (transaction_->recipients.size() + unanswered_.size() >= settings_.recipient_limit) {
    backend_.count(Counter::recipient_limit_hits);
    return refuse(kTooManyRecipients);
  }
  if (!path) return refuse(path.error());
  auto parameters = parse_rcpt_parameters(path->parameters);
  if (!parameters) return refuse(parameters.error());
  const auto address = Address::parse(path->mailbox);
  if (!address) return refuse(reply_to(address.error(), settings_.defer_over_quota));

  recipient.address = address->external();
  recipient.original = parameters->original_recipient.empty()
                           ? recipient.address
                           : std::move(parameters->original_recipient);
  if (!hold(recipient.octets())) return refuse(kNoRoomForRecipient);
  const std::uint64_t resolve_id = ++last_id_;
  unanswered_.push_back({.resolve_id = resolve_id, .recipient = std::move(recipient)});
  state_ = State::resolving;
  backend_.start_resolve(resolve_id, *address);
}

void Session::Impl::note_refusal(const Recipient& recipient, const Reply& reply) {
  backend_.count(reply.permanent() ? Counter::recipients_refused : Counter::recipients_deferred);
  backend_.log(format_line(line_about(recipient, recipient.address), reply));
}

void Session::Impl::on_data(std::string_view) {
  if (transaction_->parameters.binary) return answer(kBinaryWantsBdat);
  transaction_->reader.emplace(BodyReader::Framing::dots);
  start_body(transaction_->parameters.size);
}

// There is no 354: the octets follow at once, and wait while their place is booked.
void Session::Impl::on_bdat(std::string_view argument) {
  // A chunk of unknown size follows, and a message could hold any command.
  const auto chunk = parse_chunk(argument);
  if (!chunk) return answer_and_close(chunk.error(), kLostCount);
  Transaction& transaction = *transaction_;
  const bool first = !transaction.reader;
  if (first) {
    transaction.reader.emplace(BodyReader::Framing::chunks, transaction.parameters.binary
                                                                ? BodyReader::LineEnds::as_sent
                                                                : BodyReader::LineEnds::lf);
  }
  transaction.reader->begin_chunk(chunk->octets, chunk->last);
  // One that will be too big needs no room.
  if (first && !is_too_big(chunk->octets) && !fault_of_message()) {
    start_body(std::max(transaction.parameters.size, chunk->octets));
  } else {
    state_ = State::data;
    static_cast<void>(read_message({}));
  }
}

// RFC 3030 2: whatever is answered, the chunk's octets are no commands. They are read where they
// may be of a message that would have been taken; not where they are more, since anybody can say
// BDAT.
void Session::Impl::on_bdat_out_of_turn(std::string_view argument) {
  const auto chunk = parse_chunk(argument);
  if (!chunk) return answer_and_close(chunk.error(), kLostCount);
  patience_.begin_stray_chunk(chunk->octets, last_activity_);
  if (is_too_big(patience_.stray_octets())) {
    return answer_and_close(out_of_turn(), kStrayTooBig);
  }
  if (!patience_.in_stray_chunk()) answer(out_of_turn());
}

void Session::Impl::answer_and_close(const FixedReply& reply, const Ending& ending) {
  answer(reply);
  if (state_ != State::closed) close(ending);
}

void Session::Impl::on_rset(std::string_view) {
  answer(kOk);
  enter_ready();
}

void Session::Impl::on_noop(std::string_view) { answer(kOk); }

void Session::Impl::on_vrfy(std::string_view) {
  if (const auto refusal = refusal_of_stranger()) return answer(*refusal);
  answer(settings_.disable_vrfy_command ? kVrfyDisabled : kCannotVerify);
}

void Session::Impl::on_starttls(std::string_view) {
  answer(kStartTls);
  state_ = State::handshake;
  touch();
}

void Session::Impl::on_quit(std::string_view) { close(kBye); }

// The session begins anew, with a greeting for its reply.
void Session::Impl::on_xclient(std::string_view argument) {
  if (!connected_.trusted) return answer(kNotAuthorized);
  auto client = parse_xclient(argument);
  if (!client) return answer(client.error());
  Peer peer = peer_;
  if (client->name) peer.name = *std::move(client->name);
  if (client->address) {
    peer.address = *std::move(client->address);
    peer.port = 0;  // was another's
    peer.trusted = backend_.is_trusted(peer.address);
  }
  if (client->port) peer.port = *client->port;
  become(std::move(peer));
  if (client->helo) xclient_helo_ = *std::move(client->helo);
  lhlo_name_.clear();
  origin_.reset();
  user_.reset();
  greet();
}

void Session::Impl::on_xforward(std::string_view argument) {
  if (!connected_.trusted) return answer(kNotAuthorized);
  auto origin = parse_xforward(argument, origin_.value_or(Origin()));
  if (!origin) return answer(origin.error());
  origin_ = *std::move(origin);
  answer(kOk);
}

void Session::Impl::on_wrong_greeting(std::string_view) { answer(kSayLhlo); }

void Session::Impl::on_not_implemented(std::string_view) { answer(kNotImplemented); }

void Session::Impl::on_unknown(std::string_view) { answer(kUnknownCommand); }

void Session::Impl::on_line_too_long(std::string_view) { answer(kLineTooLong); }

void Session::Impl::on_bare_newline(std::string_view) { answer(kBareNewline); }

void Session::Impl::on_nul(std::string_view) { answer(kNulInCommand); }

}  // namespace lmtpd::session
