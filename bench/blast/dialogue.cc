#include "bench/blast/dialogue.h"

#include <fmt/format.h>

#include <utility>

namespace lmtpd::blast {

Dialogue::Dialogue(Options options, Outbox& outbox, Listener& listener)
    : options_(std::move(options)), outbox_(outbox), listener_(listener) {}

void Dialogue::reset() {
  replies_ = ReplyReader();
  step_ = Step::kGreeting;
  pipelining_ = false;
  refused_ = false;
}

void Dialogue::start(Message message) {
  message_ = std::move(message);
  index_ = 0;
  accepted_.clear();
  mail_refused_ = false;
  step_ = Step::kMail;
  send_envelope();
}

void Dialogue::quit() {
  outbox_.append("QUIT\r\n");
  step_ = Step::kQuit;
}

Expected<void> Dialogue::receive(std::string_view octets) {
  replies_.add(octets);
  while (true) {
    Reply reply;
    auto complete = replies_.next(reply);
    if (!complete) return complain(fmt::format("{}: {}", waiting_for(), complete.error()));
    if (!*complete) break;
    if (auto done = on_reply(reply); !done) return done;
  }
  if (step_ != Step::kIdle) return {};
  // Told only now, so that a reply too many is not taken for the next command's.
  if (!replies_.empty()) return complain("octets that nothing asked for");
  listener_.on_ready();
  return {};
}

Expected<void> Dialogue::end_of_input() const {
  if (step_ == Step::kOver) return {};
  if (step_ == Step::kIdle) return complain("the server closed an idle connection");
  return complain(fmt::format("the server closed the connection before {}", waiting_for()));
}

std::string Dialogue::waiting_for() const {
  switch (step_) {
    case Step::kGreeting:
      return "the greeting";
    case Step::kLhlo:
      return options_.smtp ? "the reply to EHLO" : "the reply to LHLO";
    case Step::kMail:
      return fmt::format("the reply to MAIL FROM:<{}>", message_.from);
    case Step::kRcpt:
      return fmt::format("the reply to RCPT TO:<{}>", message_.recipients[index_]);
    case Step::kData:
      return "the reply to DATA";
    case Step::kStored:
      if (options_.smtp) return "the reply after the dot";
      return fmt::format("reply {} of {} after the dot, for <{}>", index_ + 1, accepted_.size(),
                         message_.recipients[accepted_[index_]]);
    case Step::kRset:
      return "the reply to RSET";
    case Step::kQuit:
      return "the reply to QUIT";
    case Step::kIdle:
    case Step::kOver:
      return "nothing";
  }
  return "nothing";
}

int Dialogue::wanted() const {
  switch (step_) {
    case Step::kGreeting:
      return 220;
    case Step::kData:
      return 354;
    case Step::kQuit:
      return 221;
    default:
      return 250;
  }
}

Expected<void> Dialogue::on_reply(const Reply& reply) {
  if (step_ == Step::kIdle || step_ == Step::kOver) {
    return complain(fmt::format("a reply that nothing asked for: \"{}\"", printable(reply.text)));
  }
  // What follows a refused MAIL or the refusal of every recipient must be refused too.
  const bool must_refuse =
      (step_ == Step::kRcpt && mail_refused_) || (step_ == Step::kData && accepted_.empty());
  if (must_refuse && reply.code >= 400 && reply.code < 600) return on_refusal(reply);
  if (!must_refuse && reply.code == wanted()) {
    on_success(reply);
    return {};
  }
  if (!must_refuse && options_.allow_tempfail && reply.code >= 400 && reply.code < 500) {
    return on_refusal(reply);
  }
  return complain(fmt::format("{}: wanted {}, got \"{}\"", waiting_for(),
                              must_refuse ? "4xx or 5xx" : std::to_string(wanted()),
                              printable(reply.text)));
}

void Dialogue::on_success(const Reply& reply) {
  switch (step_) {
    case Step::kGreeting:
      outbox_.append(fmt::format("{} {}\r\n", options_.smtp ? "EHLO" : "LHLO", options_.lhlo));
      step_ = Step::kLhlo;
      return;
    case Step::kLhlo:
      pipelining_ = options_.pipeline && reply.text.find("PIPELINING") != std::string::npos;
      step_ = Step::kIdle;
      return;
    case Step::kMail:
      step_ = Step::kRcpt;
      if (!pipelining_) send_rcpt(0);
      return;
    case Step::kRcpt:
      accepted_.push_back(index_);
      after_recipient();
      return;
    case Step::kData:
      step_ = Step::kStored;
      index_ = 0;
      send_message();
      return;
    case Step::kStored:
      for (std::size_t left = answered_at_once(); left > 0; --left) {
        listener_.on_stored(message_.recipients[accepted_[index_++]]);
      }
      if (index_ == accepted_.size()) end_message();
      return;
    case Step::kRset:
      end_message();
      return;
    default:
      step_ = Step::kOver;
      return;
  }
}

// A 4xx that is allowed, or the refusal that must follow one.
Expected<void> Dialogue::on_refusal(const Reply& reply) {
  if (reply.code == 421 || step_ == Step::kGreeting || step_ == Step::kLhlo ||
      step_ == Step::kRset || step_ == Step::kQuit) {
    refused_ = true;
    give_up_message();
    step_ = Step::kOver;
    return {};
  }
  switch (step_) {
    case Step::kMail:
      mail_refused_ = true;
      step_ = Step::kRcpt;
      if (!pipelining_) {
        outbox_.append("RSET\r\n");
        step_ = Step::kRset;
        for (const auto& recipient : message_.recipients) listener_.on_tempfail(recipient);
      }
      return {};
    case Step::kRcpt:
      listener_.on_tempfail(message_.recipients[index_]);
      after_recipient();
      return {};
    case Step::kData:
      for (const std::size_t i : accepted_) listener_.on_tempfail(message_.recipients[i]);
      outbox_.append("RSET\r\n");
      step_ = Step::kRset;
      return {};
    default:
      for (std::size_t left = answered_at_once(); left > 0; --left) {
        listener_.on_tempfail(message_.recipients[accepted_[index_++]]);
      }
      if (index_ == accepted_.size()) end_message();
      return {};
  }
}

std::size_t Dialogue::answered_at_once() const {
  return options_.smtp ? accepted_.size() - index_ : 1;
}

void Dialogue::after_recipient() {
  if (++index_ < message_.recipients.size()) {
    if (!pipelining_) send_rcpt(index_);
    return;
  }
  step_ = Step::kData;
  if (pipelining_) return;
  if (accepted_.empty()) {
    outbox_.append("RSET\r\n");
    step_ = Step::kRset;
  } else {
    outbox_.append("DATA\r\n");
  }
}

void Dialogue::send_envelope() {
  outbox_.append(fmt::format("MAIL FROM:<{}>\r\n", message_.from));
  if (!pipelining_) return;
  for (std::size_t i = 0; i < message_.recipients.size(); ++i) send_rcpt(i);
  outbox_.append("DATA\r\n");
}

void Dialogue::send_rcpt(std::size_t index) {
  outbox_.append(fmt::format("RCPT TO:<{}>\r\n", message_.recipients[index]));
}

void Dialogue::send_message() {
  outbox_.append(message_.head);
  outbox_.append_shared(message_.middle);
  outbox_.append(message_.tail);
  listener_.on_data_queued();
}

// The connection ends with a 421: every recipient that has no outcome gets one.
void Dialogue::give_up_message() {
  const auto tell = [this](std::size_t i) { listener_.on_tempfail(message_.recipients[i]); };
  switch (step_) {
    case Step::kMail:
    case Step::kRcpt:
      for (const std::size_t i : accepted_) tell(i);
      for (std::size_t i = step_ == Step::kRcpt ? index_ : 0; i < message_.recipients.size(); ++i) {
        tell(i);
      }
      break;
    case Step::kData:
      for (const std::size_t i : accepted_) tell(i);
      break;
    case Step::kStored:
      for (std::size_t i = index_; i < accepted_.size(); ++i) tell(accepted_[i]);
      break;
    case Step::kRset:
      break;
    default:
      return;
  }
  listener_.on_message_end();
}

void Dialogue::end_message() {
  step_ = Step::kIdle;
  listener_.on_message_end();
}

}  // namespace lmtpd::blast
