#include "lmtpd/session/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lmtpd/base/log.h"
#include "lmtpd/session/session_impl.h"
#include "lmtpd/session/trace.h"

namespace lmtpd::session {
namespace {

// Octets, but for the reply that goes beyond.
constexpr std::size_t kOutputLimit = 64 * 1024;
constexpr std::size_t kLongestVerb = 32;  // octets in the log
// For whom a shutdown meets before his first message.
constexpr std::chrono::milliseconds kShutdownGrace{1000};

// What no mail system sends, and a wrong password. Replies that say something about a recipient, a
// message or the daemon do not count, nor does 503: one refused MAIL draws it for each of a
// pipelined group's recipients, and a table that is away must not end sessions.
bool is_client_error(int code) {
  return (code >= 500 && code <= 504 && code != 503) || code == 535 || code == 555;
}

}  // namespace

Session::Impl::Impl(const Settings& settings, std::string id, Peer peer, Backend& backend)
    : settings_(settings),
      id_(std::move(id)),
      connected_(std::move(peer)),
      peer_(connected_),
      client_(log_name(peer_)),
      backend_(backend),
      patience_(settings_),
      last_activity_(backend.now()) {
  if (!settings_.tls_first) greet();
}

void Session::Impl::greet() {
  state_ = State::start;
  output_ += fmt::format("220 {} LMTP lmtpd ready\r\n", settings_.hostname);
}

void Session::Impl::become(Peer peer) {
  peer_ = std::move(peer);
  client_ = log_name(peer_);
}

// What was said in plain text may have been said by somebody in between.
void Session::Impl::on_tls(TlsFacts facts) {
  tls_ = std::move(facts);
  become(connected_);
  xclient_helo_.clear();
  origin_.reset();
  lhlo_name_.clear();
  user_.reset();
  patience_ = Patience(settings_);
  backend_.count(Counter::tls_sessions);
  backend_.log(fmt::format("{}: client={}, {}", id_, client_, log_words(*tls_)));
  touch();
  if (settings_.tls_first) {
    greet();
  } else {
    state_ = State::start;
  }
  if (overstays()) close(kShutdown);
}

void Session::Impl::on_tls_failed(std::string_view why) {
  const bool begun = state_ != State::handshake;
  backend_.count(Counter::tls_failures);
  backend_.log(fmt::format("{}: client={}, TLS {}failed ({})", id_, client_,
                           begun ? "" : "handshake ", escaped(why)));
  if (!begun) abandon();
}

bool Session::Impl::wants_input() const {
  return row_of(state_).reads && !held_ && output_.size() <= kOutputLimit;
}

bool Session::Impl::needs_input() const {
  if (state_ != State::booking && state_ != State::body_full) return wants_input();
  return !transaction_->reader->ended() && !transaction_->reader->chunk_ended();
}

std::size_t Session::Impl::consume(std::string_view octets) {
  std::size_t consumed = 0;
  while (consumed < octets.size() && wants_input()) {
    const std::string_view rest = octets.substr(consumed);
    if (patience_.in_stray_chunk()) {
      consumed += read_stray_chunk(rest);
    } else {
      consumed += state_ == State::data ? read_message(rest) : read_command(rest);
    }
  }
  return consumed;
}

std::size_t Session::Impl::read_command(std::string_view octets) {
  std::optional<CommandLine> line;
  const bool is_response = state_ == State::challenged;
  const std::size_t consumed = reader_.read(
      octets, line, is_response ? CommandReader::kLongestResponse : CommandReader::kLongest);
  if (line) {
    touch();
    if (is_response) {
      take_auth_response(*line);
    } else {
      begin(*line);
    }
  }
  return consumed;
}

void Session::Impl::begin(const CommandLine& line) {
  const Command command = parse(line);
  if (must_wait(*command.row)) {
    held_.emplace(line.text, line.fault);
  } else {
    run(command);
  }
}

bool Session::Impl::must_wait(const Row& row) const {
  if (state_ != State::resolving) return false;
  return row.ends_group || unanswered_.size() >= kMostResolving ||
         transaction_->recipients.size() + unanswered_.size() >= settings_.recipient_limit;
}

void Session::Impl::run(const Command& command) {
  const Row& row = *command.row;
  verb_ = command.verb.substr(0, kLongestVerb);
  const bool in_turn = row.legal_in.has(state_);
  if (!patience_.take_command(row.step, in_turn)) {
    close_in_turn(kTooMuchJunk);
  } else if (needs_tls() && !row.in_clear) {
    answer(kTlsFirst);
  } else if (!in_turn) {
    if (row.out_of_turn == nullptr) return answer(kBadSequence);
    (this->*row.out_of_turn)(command.argument);
  } else if (row.args == Args::none && !command.argument.empty()) {
    answer(kNeedlessArgument);
  } else if (row.args == Args::required && command.argument.empty()) {
    answer(kNoArgument);
  } else {
    (this->*row.handler)(command.argument);
  }
}

void Session::Impl::answer(const Reply& reply) {
  if (reply.code >= 400 && reply.code != kBadSequence.code) {
    backend_.log(fmt::format("{}: client={}, command={}, reply=({})", id_, client_, escaped(verb_),
                             reply_line(reply)));
  }
  answer_in_turn(reply);
}

void Session::Impl::answer_in_turn(const Reply& reply) {
  if (unanswered_.empty()) {
    send(reply);
  } else {
    unanswered_.push_back({.reply = reply});
  }
}

void Session::Impl::close_in_turn(const Ending& ending) {
  if (unanswered_.empty()) {
    close(ending);
  } else {
    unanswered_.push_back({.ending = ending});
  }
}

void Session::Impl::send(const Reply& reply) {
  if (is_client_error(reply.code)) {
    if (reply.code != kWrongPassword.code) backend_.count(Counter::protocol_errors);
    if (!patience_.take_error()) return close(kTooManyErrors);
  }
  output_ += reply_line(reply);
  output_ += "\r\n";
}

void Session::Impl::on_resolved(std::uint64_t id, Result<std::vector<Mailbox>> mailboxes) {
  const auto found = std::ranges::find_if(unanswered_, [&](const Unanswered& waiting) {
    return waiting.resolve_id == id && !waiting.reply;
  });
  if (found == unanswered_.end()) return;
  Recipient& recipient = found->recipient;
  recipient.resolved = backend_.now();
  const std::uint64_t held = recipient.octets();
  const std::optional<Reply> refusal = add_mailboxes(recipient, std::move(mailboxes));
  if (refusal) {
    note_refusal(recipient, *refusal);
    // Not by assignment, which keeps the strings' memory.
    static_cast<void>(std::exchange(recipient, {}));
    give_back(held);
  } else {
    backend_.count(Counter::recipients_accepted);
  }
  found->reply = refusal.value_or(kRecipientOk);
  send_waiting_replies();
}

// Why there are none for it, or all of them are the transaction's.
std::optional<Reply> Session::Impl::add_mailboxes(Recipient& recipient,
                                                  Result<std::vector<Mailbox>> mailboxes) {
  if (mailboxes && mailboxes->empty()) mailboxes = fail(Reason::lookup_failed, "");
  if (!mailboxes) return reply_to(mailboxes.error(), settings_.defer_over_quota);
  if (!has_room_for(mailboxes->size())) {
    backend_.count(Counter::recipient_limit_hits);
    return kTooManyMailboxes;
  }
  const std::uint64_t held = recipient.octets();
  recipient.mailboxes = *std::move(mailboxes);
  if (!hold(recipient.octets() - held)) return kNoRoomForRecipient;
  transaction_->mailboxes += recipient.mailboxes.size();
  return std::nullopt;
}

// A list counts once for each RCPT that leads to it: all of that is held, and logged. The first
// always has room, so that a client that sends the rest in another transaction comes to an end.
bool Session::Impl::has_room_for(std::size_t mailboxes) const {
  return transaction_->mailboxes == 0 ||
         transaction_->mailboxes + mailboxes <= most_mailboxes(settings_.recipient_limit);
}

// Or it is counted that there is no room.
bool Session::Impl::hold(std::uint64_t octets) {
  if (!backend_.hold_recipients(octets)) {
    backend_.count(Counter::spool_recipients_deferred);
    return false;
  }
  transaction_->held += octets;
  return true;
}

void Session::Impl::give_back(std::uint64_t octets) {
  transaction_->held -= octets;
  backend_.free_recipients(octets);
}

void Session::Impl::send_waiting_replies() {
  while (!unanswered_.empty() && unanswered_.front().reply) {
    Unanswered first = std::move(unanswered_.front());
    unanswered_.pop_front();
    if (first.resolve_id != 0 && first.reply->positive()) {
      transaction_->recipients.push_back(std::move(first.recipient));
    }
    send(*first.reply);
    if (state_ == State::closed) return;
  }
  if (unanswered_.empty()) {
    state_ = transaction_->recipients.empty() ? State::mail : State::rcpt;
    touch();
  } else if (const std::optional<Ending> ending = unanswered_.front().ending) {
    return close(*ending);
  }
  if (!held_) return;
  const auto [text, fault] = *held_;
  const Command command = parse({text, fault});
  if (must_wait(*command.row)) return;
  held_.reset();
  run(command);
}

void Session::Impl::close(const Ending& ending) {
  const auto& [code, enhanced, text] = ending.reply;
  const Reply last(code, enhanced, fmt::format("{} {}", settings_.hostname, text));
  if (ending.counter) backend_.count(*ending.counter);
  if (!last.positive()) {
    backend_.log(fmt::format("{}: client={}, closing ({})", id_, client_, reply_line(last)));
  }
  output_ += reply_line(last);
  output_ += "\r\n";
  abandon();
}

void Session::Impl::abandon() {
  if (state_ == State::authenticating || state_ == State::challenged) backend_.end_auth();
  held_.reset();
  unanswered_.clear();
  end_transaction();
  state_ = State::closed;
}

void Session::Impl::end_transaction() {
  drop_body();
  if (transaction_) give_back(transaction_->held);
  transaction_.reset();
}

void Session::Impl::enter_ready() {
  end_transaction();
  origin_.reset();
  if (state_ != State::start) state_ = State::ready;
  touch();
  if (overstays()) close(kShutdown);
}

bool Session::Impl::overstays() const {
  return leaves_ && row_of(state_).ends_at_shutdown &&
         (transactions_ > 0 || backend_.now() >= *leaves_);
}

// Its time limit. Chunks out of turn have the time of the message that their client has in mind.
Clock::time_point Session::Impl::end_of_transaction() const {
  if (transaction_) return transaction_->started + settings_.transaction_time_limit;
  if (patience_.in_stray_chunk()) {
    return patience_.strays_since() + settings_.transaction_time_limit;
  }
  return Clock::time_point::max();
}

Clock::time_point Session::Impl::deadline() const {
  const StateRow& row = row_of(state_);
  Clock::time_point due = Clock::time_point::max();
  if (row.silence != nullptr) due = last_activity_ + settings_.*row.silence;
  if (leaves_ && row.ends_at_shutdown) due = std::min(due, *leaves_);
  return row.is_timed ? std::min(due, end_of_transaction()) : due;
}

void Session::Impl::on_deadline() {
  if (backend_.now() < deadline()) return;
  if (state_ == State::handshake) {
    backend_.count(Counter::starttls_timeout_hits);
    on_tls_failed("timeout");
    return;
  }
  if (backend_.now() >= end_of_transaction()) {
    close(kTransactionTooLong);
  } else {
    close(overstays() ? kShutdown : kSilentTooLong);
  }
}

void Session::Impl::shut_down() {
  if (!leaves_) leaves_ = backend_.now() + kShutdownGrace;
  if (overstays()) close(kShutdown);
}

void Session::Impl::turn_away() {
  if (state_ == State::handshake) {
    backend_.log(fmt::format("{}: client={}, closing (too many connections, in the TLS handshake)",
                             id_, client_));
    abandon();
  } else if (state_ != State::closed) {
    close(kTurnedAway);
  }
}

Session::Session(const Settings& settings, std::string id, Peer peer, Backend& backend)
    : impl_(std::make_unique<Impl>(settings, std::move(id), std::move(peer), backend)) {}
Session::~Session() = default;

std::size_t Session::consume(std::string_view octets) { return impl_->consume(octets); }
bool Session::replies_may_wait() const { return impl_->replies_may_wait(); }
std::string Session::take_output() { return impl_->take_output(); }
bool Session::wants_input() const { return impl_->wants_input(); }
bool Session::needs_input() const { return impl_->needs_input(); }
bool Session::wants_tls() const { return impl_->wants_tls(); }
void Session::on_tls(TlsFacts facts) { impl_->on_tls(std::move(facts)); }
void Session::on_tls_failed(std::string_view why) { impl_->on_tls_failed(why); }
bool Session::closing() const { return impl_->closing(); }
Clock::time_point Session::deadline() const { return impl_->deadline(); }
void Session::on_deadline() { impl_->on_deadline(); }
void Session::shut_down() { impl_->shut_down(); }
void Session::turn_away() { impl_->turn_away(); }
void Session::on_resolved(std::uint64_t id, Result<std::vector<Mailbox>> mailboxes) {
  impl_->on_resolved(id, std::move(mailboxes));
}
void Session::on_auth_step(AuthStep step) { impl_->on_auth_step(std::move(step)); }
void Session::on_body_ready(std::uint64_t id) { impl_->on_body_ready(id); }
void Session::on_body_refused(std::uint64_t id, const Error& error) {
  impl_->on_body_refused(id, error);
}
void Session::on_copy_done(std::uint64_t id, std::size_t copy, Result<void> outcome) {
  impl_->on_copy_done(id, copy, std::move(outcome));
}

}  // namespace lmtpd::session
