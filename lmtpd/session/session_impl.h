// lmtpd/session/session_impl.h -- the state of a session. Its flow is session.cc, its commands are
// commands.cc, AUTH is authentication.cc, and what becomes of a message, behind 354 or BDAT, is
// message.cc.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lmtpd/session/body_reader.h"
#include "lmtpd/session/command_reader.h"
#include "lmtpd/session/command_table.h"
#include "lmtpd/session/delivery.h"
#include "lmtpd/session/forwarding.h"
#include "lmtpd/session/parameters.h"
#include "lmtpd/session/patience.h"
#include "lmtpd/session/recipient_log.h"
#include "lmtpd/session/reply.h"
#include "lmtpd/session/session.h"
#include "lmtpd/session/state.h"

namespace lmtpd::session {

// A reply that waits for its turn, and the recipient that it is about.
struct Unanswered {
  std::uint64_t resolve_id = 0;  // 0: no recipient, the reply or the ending is known
  Recipient recipient = {};
  std::optional<Reply> reply = {};
  std::optional<Ending> ending = {};  // in its place
};

// From MAIL to the last reply behind the message.
struct Transaction {
  std::string id;
  Clock::time_point started;  // MAIL
  std::optional<Address> sender;
  MailParameters parameters;
  std::vector<Recipient> recipients;  // accepted, in order
  // Of those, and of those whose 250 waits for its turn: at most ten times recipient_limit, unless
  // the first alone has more.
  std::size_t mailboxes = 0;
  std::uint64_t held = 0;  // octets, of all that came and were not refused

  std::uint64_t body = 0;            // the backend's id of it
  bool body_is_ours = false;         // to append to, to drop or to hand over
  std::optional<BodyReader> reader;  // from DATA or the first BDAT on
  std::optional<Reply> refusal;      // what the backend said of the body
  std::string counted_failure;       // the enhanced code of the one that was counted last
  Clock::time_point dot;             // or the end of the last chunk
  std::optional<Delivery> delivery;
  std::size_t answered = 0;  // recipients, from the first on
  bool deferred = false;     // one of them, with 4xx
  bool refused = false;      // one of them, with 5xx
};

class Session::Impl {
 public:
  Impl(const Settings& settings, std::string id, Peer peer, Backend& backend);

  std::size_t consume(std::string_view octets);
  [[nodiscard]] bool replies_may_wait() const {
    return held_.has_value() && unanswered_.size() < kMostResolving;
  }
  std::string take_output() { return std::exchange(output_, {}); }
  [[nodiscard]] bool wants_input() const;
  [[nodiscard]] bool needs_input() const;
  [[nodiscard]] bool closing() const { return state_ == State::closed; }
  [[nodiscard]] Clock::time_point deadline() const;
  [[nodiscard]] Clock::time_point end_of_transaction() const;
  [[nodiscard]] bool wants_tls() const { return state_ == State::handshake; }
  void on_tls(TlsFacts facts);
  void on_tls_failed(std::string_view why);
  void on_deadline();
  void shut_down();
  void turn_away();
  void on_resolved(std::uint64_t id, Result<std::vector<Mailbox>> mailboxes);
  void on_auth_step(AuthStep step);
  void on_body_ready(std::uint64_t id);
  void on_body_refused(std::uint64_t id, const Error& error);
  void on_copy_done(std::uint64_t id, std::size_t copy, Result<void> outcome);

 private:
  using Row = CommandRow<Impl>;
  struct Table;  // commands.cc

  struct Command {
    const Row* row;
    std::string_view verb;
    std::string_view argument;
  };

  // Flow: session.cc
  std::size_t read_command(std::string_view octets);
  void begin(const CommandLine& line);
  void run(const Command& command);
  [[nodiscard]] bool must_wait(const Row& row) const;
  void answer(const Reply& reply);
  void answer_in_turn(const Reply& reply);
  void close_in_turn(const Ending& ending);
  void send(const Reply& reply);
  [[nodiscard]] std::optional<Reply> add_mailboxes(Recipient& recipient,
                                                   Result<std::vector<Mailbox>> mailboxes);
  [[nodiscard]] bool has_room_for(std::size_t mailboxes) const;
  [[nodiscard]] bool hold(std::uint64_t octets);
  void give_back(std::uint64_t octets);
  void send_waiting_replies();
  void close(const Ending& ending);
  void abandon();
  void end_transaction();
  void greet();
  void become(Peer peer);
  [[nodiscard]] bool overstays() const;
  void enter_ready();
  [[nodiscard]] bool needs_tls() const { return settings_.tls == TlsLevel::encrypt && !tls_; }
  // Of a command that is not legal now, and has taken its octets.
  [[nodiscard]] const FixedReply& out_of_turn() const {
    return needs_tls() ? kTlsFirst : kBadSequence;
  }
  // A message of so many octets.
  [[nodiscard]] bool is_too_big(std::uint64_t octets) const {
    return settings_.size_announced > 0 && octets > settings_.size_announced;
  }
  void touch() { last_activity_ = backend_.now(); }

  // The table and its handlers: commands.cc
  [[nodiscard]] Command parse(const CommandLine& line) const;
  void on_lhlo(std::string_view argument);
  void on_mail(std::string_view argument);
  void on_rcpt(std::string_view argument);
  void on_data(std::string_view argument);
  void on_bdat(std::string_view argument);
  void on_bdat_out_of_turn(std::string_view argument);
  void on_rset(std::string_view argument);
  void on_noop(std::string_view argument);
  void on_vrfy(std::string_view argument);
  void on_starttls(std::string_view argument);
  void on_quit(std::string_view argument);
  void on_xclient(std::string_view argument);
  void on_xforward(std::string_view argument);
  void on_wrong_greeting(std::string_view argument);
  void on_not_implemented(std::string_view argument);
  void on_unknown(std::string_view argument);
  void on_line_too_long(std::string_view argument);
  void on_bare_newline(std::string_view argument);
  void on_nul(std::string_view argument);
  void note_refusal(const Recipient& recipient, const Reply& reply);
  void answer_and_close(const FixedReply& reply, const Ending& ending);

  // AUTH: authentication.cc
  [[nodiscard]] std::vector<std::string> mechanisms_offered() const;
  [[nodiscard]] std::optional<FixedReply> refusal_of_stranger() const;
  void on_auth(std::string_view argument);
  void take_auth_response(const CommandLine& line);
  void fail_auth(const Reply& reply);
  void log_sender() const;

  // The message: message.cc
  void start_body(std::uint64_t octets);
  std::size_t read_message(std::string_view octets);
  std::size_t read_stray_chunk(std::string_view octets);
  [[nodiscard]] std::optional<Reply> fault_of_message() const;
  [[nodiscard]] std::optional<Reply> failure_of_message() const;
  void drop_body();
  void go_on();
  void end_chunk();
  void end_message();
  void count_failure(const Reply& failure);
  void answer_failed_message(const Reply& reply);
  void start_delivery();
  [[nodiscard]] std::vector<Copy> make_copies() const;
  void answer_settled_recipients();
  void note_outcome(const Recipient& recipient, const Mailbox& mailbox, Clock::time_point stored,
                    const Reply& outcome);
  [[nodiscard]] RecipientLine line_about(const Recipient& recipient, std::string_view to) const;

  const Settings settings_;
  const std::string id_;
  const Peer connected_;
  Peer peer_;           // that one, or whom it names by XCLIENT
  std::string client_;  // the peer, for the log
  Backend& backend_;

  State state_ = State::handshake;
  std::optional<Clock::time_point> leaves_;  // when it stops; at once behind a transaction
  CommandReader reader_;
  std::optional<std::pair<std::string, LineFault>> held_;  // a command that must_wait()
  std::deque<Unanswered> unanswered_;
  std::string output_;
  std::string lhlo_name_;
  std::optional<TlsFacts> tls_;
  std::string xclient_helo_;         // in place of LHLO's name; empty: that one counts
  std::optional<Origin> origin_;     // of the next message, or of the one under way
  std::string mechanism_;            // of the last exchange
  std::optional<std::string> user_;  // who authenticated
  std::optional<Transaction> transaction_;
  Patience patience_;
  std::uint64_t transactions_ = 0;
  std::uint64_t last_id_ = 0;
  Clock::time_point last_activity_;
  std::string verb_;  // of the command that runs, cut; for the log
};

}  // namespace lmtpd::session
