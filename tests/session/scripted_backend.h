// tests/session/scripted_backend.h -- a Backend that does as a test's script says, on a fake clock.
//
// Nothing is answered before answer_next() (or answer_due()) is called. A breach of the Backend's
// contract by the session is kept in breaches(). Who asks, and is answered, is a Session or has a
// Session's functions for that.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lmtpd/session/session.h"

namespace lmtpd::session {

class ScriptedBackend final : public Backend {
 public:
  using Duration = std::chrono::milliseconds;

  struct Resolution {
    Result<std::vector<Mailbox>> mailboxes;
    Duration after{0};
  };
  struct Outcome {
    Result<void> result;
    Duration after{0};
  };

  // ---- the script

  std::vector<std::string> trusted_clients;  // addresses
  // What AUTH is answered: for each challenge or outcome, one; then `unavailable`.
  std::vector<AuthStep> auth_steps;
  // What is not named is unknown_user.
  std::map<std::string, Resolution, std::less<>> recipients;  // by external address
  // What is not named is stored at once.
  std::map<std::string, Outcome, std::less<>> outcomes;  // by the path of the mailbox
  std::size_t mails_refused = 0;                         // for too many connections, the first ones
  std::uint64_t most_held = UINT64_MAX;                  // octets of recipients
  std::optional<Error> refuse_body;                      // in answer to start_body()
  std::size_t full_at = SIZE_MAX;    // octets at which append_body() says false, once
  std::size_t refuse_at = SIZE_MAX;  // octets at which it does, and on_body_refused() follows
  Duration body_after{0};
  // In a Connection's words.
  static Error no_room() {
    return {Reason::no_space, "no memory for the message within the time limit"};
  }

  // One mailbox or several at `paths`, whose final address is `final_address` or the recipient's
  // own.
  void add_mailbox(std::string_view address, const std::vector<std::string>& paths,
                   std::string_view final_address = {}, Duration after = Duration(0));

  // ---- what happened

  struct Stored {
    std::string path;
    std::string content;  // headers and body
    std::uint64_t wire_size;
  };
  std::vector<std::string> resolves;      // addresses asked for
  std::uint64_t held = 0;                 // octets of the transaction's recipients
  std::vector<std::uint64_t> body_sizes;  // as start_body() was told
  std::vector<std::size_t> body_copies;   // likewise
  std::vector<std::size_t> appended;      // octets of each append_body()
  std::vector<Stored> stored;             // that were to be delivered, whatever the outcome
  std::vector<std::string> told_stored;   // paths, as the session heard it
  std::size_t bodies_dropped = 0;
  std::vector<std::string> auth_messages;  // "MECHANISM", "MECHANISM:RESPONSE", ":RESPONSE", "end"
  std::map<Counter, std::uint64_t> counted;
  std::vector<std::string> log_lines;
  [[nodiscard]] const std::vector<std::string>& breaches() const { return breaches_; }

  // ---- time

  void advance(Duration span) { now_ += span; }
  // Gives the answer that is due first, moving the clock to it. False: none is owed.
  template <class Asker>
  bool answer_next(Asker& asker);
  // Gives all that are due by now.
  template <class Asker>
  void answer_due(Asker& asker);
  [[nodiscard]] std::size_t owed() const { return owed_.size(); }

  // ---- what Backend's functions come to, for an owner of the bodies' octets who asks for room

  void resolve(std::uint64_t id, const std::string& address);
  [[nodiscard]] bool has_body(std::uint64_t id) const { return bodies_.contains(id); }
  // Of a body that is new as start_body(), else as append_body() with so many octets beyond those
  // that were booked before. False: it is answered later.
  [[nodiscard]] bool book_body(std::uint64_t id, std::uint64_t octets);
  void fill_body(std::uint64_t id, std::string octets) { bodies_[id].octets = std::move(octets); }

  // ---- Backend
  Clock::time_point now() override { return now_; }
  std::time_t wall_clock() override { return 1763852700; }  // Sat, 22 Nov 2025 23:05:00 UTC
  bool is_trusted(const std::string& address) override {
    return std::ranges::find(trusted_clients, address) != trusted_clients.end();
  }
  bool may_send_mail() override {
    if (held > 0) breach("recipients are held without a transaction");
    if (mails_refused == 0) return true;
    --mails_refused;
    return false;
  }
  void start_resolve(std::uint64_t id, const Address& recipient) override;
  void start_auth(const AuthStart& start) override;
  void continue_auth(std::string_view response) override;
  void end_auth() override;
  bool hold_recipients(std::uint64_t octets) override;
  void free_recipients(std::uint64_t octets) override;
  void start_body(std::uint64_t id, std::uint64_t octets, std::size_t copies) override;
  bool append_body(std::uint64_t id, std::string_view octets) override;
  void drop_body(std::uint64_t id) override;
  void start_delivery(std::uint64_t id, std::vector<Copy> copies) override;
  void count(Counter counter) override { ++counted[counter]; }
  void log(std::string_view line) override { log_lines.emplace_back(line); }

 private:
  enum class Kind { resolved, auth_step, body_ready, body_refused, copy_done };
  struct Answer {
    Clock::time_point due;
    Kind kind;
    std::uint64_t id;
    std::size_t copy = 0;
    std::string key;  // address, or path
  };
  enum class Exchange { none, backends_turn, clients_turn };
  enum class BodyState { booking, open, full };
  struct Body {
    BodyState state = BodyState::booking;
    std::size_t size = 0;  // of the octets, or as booked
    std::string octets;
  };

  void owe_auth_step();
  bool grow_body(std::uint64_t id, std::size_t octets);
  void owe(Duration after, Answer answer);
  template <class Asker>
  void give(Asker& asker, const Answer& answer);
  void breach(std::string what) { breaches_.push_back(std::move(what)); }

  Clock::time_point now_{std::chrono::hours(1000)};
  std::vector<Answer> owed_;  // by time due
  std::map<std::uint64_t, Body> bodies_;
  Exchange exchange_ = Exchange::none;
  std::uint64_t auth_turn_ = 0;  // of which a step is owed
  std::size_t auth_steps_taken_ = 0;
  std::vector<std::string> breaches_;
};

template <class Asker>
bool ScriptedBackend::answer_next(Asker& asker) {
  if (owed_.empty()) return false;
  const Answer answer = std::move(owed_.front());
  owed_.erase(owed_.begin());
  now_ = std::max(now_, answer.due);
  give(asker, answer);
  return true;
}

template <class Asker>
void ScriptedBackend::answer_due(Asker& asker) {
  while (!owed_.empty() && owed_.front().due <= now_) answer_next(asker);
}

template <class Asker>
void ScriptedBackend::give(Asker& asker, const Answer& answer) {
  switch (answer.kind) {
    case Kind::resolved: {
      const auto found = recipients.find(answer.key);
      asker.on_resolved(answer.id, found == recipients.end() ? fail(Reason::unknown_user, "")
                                                             : found->second.mailboxes);
      return;
    }
    case Kind::auth_step: {
      if (exchange_ != Exchange::backends_turn || answer.id != auth_turn_) return;
      const AuthStep step = auth_steps_taken_ < auth_steps.size()
                                ? auth_steps[auth_steps_taken_++]
                                : AuthStep{AuthStep::Kind::unavailable, {}};
      exchange_ = step.kind == AuthStep::Kind::challenge ? Exchange::clients_turn : Exchange::none;
      asker.on_auth_step(step);
      return;
    }
    case Kind::body_ready:
      if (!bodies_.contains(answer.id)) return;
      bodies_[answer.id].state = BodyState::open;
      asker.on_body_ready(answer.id);
      return;
    case Kind::body_refused:
      if (bodies_.erase(answer.id) == 0) return;
      asker.on_body_refused(answer.id, refuse_body.value_or(no_room()));
      return;
    case Kind::copy_done: {
      const auto found = outcomes.find(answer.key);
      const Result<void> result = found == outcomes.end() ? Result<void>() : found->second.result;
      if (result) told_stored.push_back(answer.key);
      asker.on_copy_done(answer.id, answer.copy, result);
      return;
    }
  }
}

}  // namespace lmtpd::session
