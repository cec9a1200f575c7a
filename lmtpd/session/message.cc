#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lmtpd/session/session_impl.h"
#include "lmtpd/session/trace.h"

namespace lmtpd::session {
namespace {

constexpr std::size_t kLargestPiece = 64 * 1024;  // octets decoded at a time

Counter counter_of_message(bool deferred, bool refused) {
  if (deferred) return Counter::messages_deferred;
  return refused ? Counter::messages_refused : Counter::messages_stored;
}

Counter counter_of_delivery(const Reply& outcome) {
  if (outcome.positive()) return Counter::deliveries_stored;
  return outcome.permanent() ? Counter::deliveries_refused : Counter::deliveries_deferred;
}

}  // namespace

void Session::Impl::start_body(std::uint64_t octets) {
  transaction_->body = ++last_id_;
  transaction_->body_is_ours = true;
  state_ = State::booking;
  std::size_t copies = 0;
  for (const Recipient& recipient : transaction_->recipients) copies += recipient.mailboxes.size();
  backend_.start_body(transaction_->body, octets, copies);
}

void Session::Impl::on_body_ready(std::uint64_t id) {
  if (!transaction_ || transaction_->body != id || !transaction_->body_is_ours) return;
  if (state_ == State::booking) {
    state_ = State::data;
    if (transaction_->reader->framing() == BodyReader::Framing::dots) {
      touch();
      send(kStartData);
    } else {
      static_cast<void>(read_message({}));  // it may be empty
    }
  } else if (state_ == State::body_full) {
    state_ = State::data;
    touch();
    go_on();
  }
}

void Session::Impl::on_body_refused(std::uint64_t id, const Error& error) {
  if (!transaction_ || transaction_->body != id || !transaction_->body_is_ours) return;
  transaction_->body_is_ours = false;
  touch();
  if (state_ == State::booking) {
    Reply reply = kNoRoomForBody;
    if (!error.text.empty()) reply.text = error.text;
    if (transaction_->reader->framing() == BodyReader::Framing::dots) {
      state_ = State::rcpt;
      transaction_->reader.reset();
      answer(reply);
    } else {
      state_ = State::data;
      transaction_->refusal = reply;
      static_cast<void>(read_message({}));
    }
    return;
  }
  transaction_->refusal = reply_to(error, settings_.defer_over_quota);
  if (state_ == State::body_full) {
    state_ = State::data;
    go_on();
  }
}

std::size_t Session::Impl::read_message(std::string_view octets) {
  touch();
  Transaction& transaction = *transaction_;
  const std::size_t consumed = transaction.reader->read(octets.substr(0, kLargestPiece));
  if (fault_of_message()) drop_body();
  const std::string_view output = transaction.reader->output();
  const bool is_full = transaction.body_is_ours && !output.empty() &&
                       !backend_.append_body(transaction.body, output);
  transaction.reader->free_output();
  if (is_full) {
    state_ = State::body_full;
  } else {
    go_on();
  }
  return consumed;
}

// What has been read is stored, or not wanted.
void Session::Impl::go_on() {
  if (transaction_->reader->ended()) {
    end_message();
  } else if (transaction_->reader->chunk_ended()) {
    end_chunk();
  }
}

std::size_t Session::Impl::read_stray_chunk(std::string_view octets) {
  touch();
  const std::size_t consumed = patience_.take_stray_octets(octets.size());
  if (!patience_.in_stray_chunk()) answer(out_of_turn());
  return consumed;
}

// Of what has come in so far. Asked again at the end, so that a message with several faults is
// answered the same however its octets were cut on the way.
std::optional<Reply> Session::Impl::fault_of_message() const {
  const BodyReader& reader = *transaction_->reader;
  if (is_too_big(reader.received_octets())) return kTooBig;
  if (reader.received_fields() >= settings_.hopcount_limit) return kTooManyHops;
  if (settings_.reject_bare_newline && reader.has_bare_newline()) return kBareNewlineInData;
  return std::nullopt;
}

std::optional<Reply> Session::Impl::failure_of_message() const {
  const auto fault = fault_of_message();
  return fault ? fault : transaction_->refusal;
}

void Session::Impl::drop_body() {
  if (!transaction_ || !transaction_->body_is_ours) return;
  transaction_->body_is_ours = false;
  backend_.drop_body(transaction_->body);
}

void Session::Impl::end_chunk() {
  state_ = State::chunks;
  const auto failure = failure_of_message();
  if (failure) count_failure(*failure);
  answer(failure.value_or(kChunkOk));
}

void Session::Impl::end_message() {
  transaction_->dot = backend_.now();
  if (const auto failure = failure_of_message()) {
    count_failure(*failure);
    answer_failed_message(*failure);
  } else {
    start_delivery();
  }
}

// Once a message: each chunk behind the one that was too much is answered the same.
void Session::Impl::count_failure(const Reply& failure) {
  if (failure.enhanced == transaction_->counted_failure) return;
  transaction_->counted_failure = failure.enhanced;
  if (failure.enhanced == kTooBig.enhanced) backend_.count(Counter::message_size_limit_hits);
  if (failure.enhanced == kTooManyHops.enhanced) backend_.count(Counter::hopcount_limit_hits);
}

void Session::Impl::answer_failed_message(const Reply& reply) {
  backend_.count(counter_of_message(!reply.permanent(), reply.permanent()));
  for (const Recipient& recipient : transaction_->recipients) {
    for (const Mailbox& mailbox : recipient.mailboxes) {
      note_outcome(recipient, mailbox, transaction_->dot, reply);
    }
    send(reply);
  }
  enter_ready();
}

void Session::Impl::start_delivery() {
  transaction_->delivery.emplace(transaction_->recipients);
  transaction_->body_is_ours = false;
  state_ = State::delivering;
  backend_.start_delivery(transaction_->body, make_copies());
}

std::vector<Copy> Session::Impl::make_copies() const {
  const Transaction& transaction = *transaction_;
  const std::string first = return_path_field(transaction.sender);
  Hop hop;
  hop.lhlo_name = xclient_helo_.empty() ? lhlo_name_ : xclient_helo_;
  const std::string client = received_from(peer_);
  hop.received_from = client;
  hop.hostname = settings_.hostname;
  const std::string protocol =
      fmt::format("{}{}{}", transaction.parameters.smtputf8 ? "UTF8LMTP" : "LMTP", tls_ ? "S" : "",
                  user_ ? "A" : "");
  hop.protocol = protocol;
  if (tls_) hop.tls = &*tls_;
  hop.id = transaction.id;
  if (transaction.recipients.size() == 1) hop.for_recipient = transaction.recipients[0].address;
  hop.time = backend_.wall_clock();
  const std::string last = received_field(hop);

  std::vector<Copy> copies;
  copies.reserve(transaction.delivery->copies().size());
  for (const Delivery::Plan& plan : transaction.delivery->copies()) {
    const std::string& final_address = plan.mailbox->delivered_to;
    Copy copy;
    copy.ticket = plan.mailbox->ticket;
    copy.headers = first + original_to_field(*plan.original, final_address) +
                   delivered_to_field(final_address) + last;
    copy.wire_size = copy.headers.size() +
                     static_cast<std::uint64_t>(std::ranges::count(copy.headers, '\n')) +
                     transaction.reader->wire_octets();
    if (transaction.parameters.binary) copy.headers = with_crlf(copy.headers);
    copies.push_back(std::move(copy));
  }
  return copies;
}

void Session::Impl::on_copy_done(std::uint64_t id, std::size_t copy, Result<void> outcome) {
  if (state_ != State::delivering || transaction_->body != id) return;
  if (!transaction_->delivery->record(copy, std::move(outcome), backend_.now())) return;
  answer_settled_recipients();
}

void Session::Impl::answer_settled_recipients() {
  Transaction& transaction = *transaction_;
  Delivery& delivery = *transaction.delivery;
  const Reply stored(250, "2.0.0", fmt::format("Stored, id={}", transaction.id));
  for (; transaction.answered < transaction.recipients.size() &&
         delivery.settled(transaction.answered);
       ++transaction.answered) {
    const Recipient& recipient = transaction.recipients[transaction.answered];
    const Reply reply = delivery.reply(transaction.answered, stored, settings_.defer_over_quota);
    send(reply);
    if (!reply.positive()) (reply.permanent() ? transaction.refused : transaction.deferred) = true;
    for (const std::size_t copy : delivery.copies_of(transaction.answered)) {
      note_outcome(
          recipient, *delivery.copies()[copy].mailbox, delivery.time_of(copy),
          delivery.reply_of_copy(transaction.answered, copy, stored, settings_.defer_over_quota));
    }
  }
  if (transaction.answered < transaction.recipients.size()) return;
  backend_.count(counter_of_message(transaction.deferred, transaction.refused));
  patience_.forget_errors();
  enter_ready();
}

void Session::Impl::note_outcome(const Recipient& recipient, const Mailbox& mailbox,
                                 Clock::time_point stored, const Reply& outcome) {
  backend_.count(counter_of_delivery(outcome));
  const Transaction& transaction = *transaction_;
  RecipientLine line = line_about(recipient, mailbox.delivered_to);
  line.mailbox = mailbox.path;
  line.until_dot = transaction.dot - recipient.resolved;
  line.until_stored = stored - transaction.dot;
  line.message = {transaction.reader->received_octets(), transaction.reader->message_id()};
  backend_.log(format_line(line, outcome));
}

// As far as it was known when its RCPT was answered.
RecipientLine Session::Impl::line_about(const Recipient& recipient, std::string_view to) const {
  RecipientLine line;
  line.id = transaction_->id;
  line.client = client_;
  if (origin_) line.origin = &*origin_;
  line.to = to;
  line.original = recipient.original;
  line.until_rcpt = recipient.asked - transaction_->started;
  line.until_resolved = recipient.resolved - recipient.asked;
  return line;
}

}  // namespace lmtpd::session
