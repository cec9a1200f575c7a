// bench/blast/dialogue.h -- the client's side of one LMTP connection (RFC 2033), without a socket.
//
// Or of an SMTP connection (RFC 5321): EHLO, and one reply after the dot for all recipients.
//
// Octets go in by receive(), octets to send come out through the Outbox, and the Listener hears
// what the replies mean. Every reply is checked: its code must be exactly the one that the step
// wants (220, 250, 354, 221), and there must be one for each command and, after the dot, one for
// each accepted recipient. A failure is a sentence that names the step; the dialogue is over then.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "bench/blast/expected.h"
#include "bench/blast/outbox.h"
#include "bench/blast/reply.h"

namespace lmtpd::blast {

struct Message {
  std::string from;  // without <>
  std::vector<std::string> recipients;
  std::string id;
  std::string head;         // head, middle, tail: see MessageMaker
  std::string_view middle;  // outlives the dialogue
  std::string tail;
};

class Dialogue {
 public:
  struct Options {
    std::string lhlo;
    bool smtp = false;
    bool pipeline = true;         // used where the server offers it
    bool allow_tempfail = false;  // 4xx to a command or recipient is counted, not a failure
  };
  // Called from within receive(). start() and quit() may be called from on_ready() only.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void on_ready() = 0;        // a message may be started
    virtual void on_data_queued() = 0;  // message text and final dot are in the outbox
    virtual void on_stored(const std::string& recipient) = 0;
    virtual void on_tempfail(const std::string& recipient) = 0;
    virtual void on_message_end() = 0;  // each recipient was named in one of the two above
  };

  Dialogue(Options options, Outbox& outbox, Listener& listener);

  // A new connection; what the old one had in flight is forgotten.
  void reset();
  void start(Message message);
  void quit();

  [[nodiscard]] Expected<void> receive(std::string_view octets);
  // The server closed the connection: fine after QUIT's 221 or an allowed 421, else a failure.
  [[nodiscard]] Expected<void> end_of_input() const;

  // "the reply to RCPT TO:<a@b>"; for messages about what is missing.
  [[nodiscard]] std::string waiting_for() const;
  [[nodiscard]] bool idle() const { return step_ == Step::kIdle; }
  // Nothing more will come that matters: QUIT was answered, or an allowed 421 came.
  [[nodiscard]] bool over() const { return step_ == Step::kOver; }
  [[nodiscard]] bool refused() const { return refused_; }
  [[nodiscard]] bool pipelining() const { return pipelining_; }

 private:
  enum class Step { kGreeting, kLhlo, kIdle, kMail, kRcpt, kData, kStored, kRset, kQuit, kOver };

  [[nodiscard]] Expected<void> on_reply(const Reply& reply);
  [[nodiscard]] Expected<void> on_refusal(const Reply& reply);
  [[nodiscard]] int wanted() const;
  void on_success(const Reply& reply);
  void after_recipient();
  // How many recipients, from the one waited for, the reply after the dot is for.
  [[nodiscard]] std::size_t answered_at_once() const;
  void send_envelope();
  void send_rcpt(std::size_t index);
  void send_message();
  void give_up_message();
  void end_message();

  const Options options_;
  Outbox& outbox_;
  Listener& listener_;
  ReplyReader replies_;
  Step step_ = Step::kGreeting;
  Message message_;
  std::size_t index_ = 0;              // of the recipient (kRcpt) or of accepted_ (kStored)
  std::vector<std::size_t> accepted_;  // by RCPT
  bool mail_refused_ = false;
  bool pipelining_ = false;
  bool refused_ = false;
};

}  // namespace lmtpd::blast
