// lmtpd/frontend/lookup_link.h -- the frontend's side of its channel to lookup.
//
// What is asked while there is no channel, or is not answered by its deadline, fails as a lookup
// that failed; so does all that was under way on a channel that ends. What lookup was not asked for
// ends the channel, and master is to make another. Where lookup's window is full, clients take
// turns (question_queue.h); exchanges are AuthLink's, and have no window.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lmtpd/base/messages.h"
#include "lmtpd/base/ticket.h"
#include "lmtpd/event/event_channel.h"
#include "lmtpd/frontend/auth_link.h"
#include "lmtpd/frontend/question_queue.h"
#include "lmtpd/frontend/questions.h"
#include "lmtpd/session/session.h"

namespace lmtpd::frontend {

class LookupLink final : public Questions, public EventChannel::Owner {
 public:
  class Asker : public AuthLink::Asker {
   public:
    // Exactly once for each resolve() that was not abandoned; never from within it. `connection`
    // and `request` as given there.
    virtual void on_resolved(std::uint64_t connection, std::uint64_t request,
                             Result<std::vector<session::Mailbox>> mailboxes) = 0;
    // The channel is gone, and all that was asked on it.
    virtual void on_lookup_lost() = 0;
    // It happened once more.
    virtual void count(Counter counter) = 0;

   protected:
    ~Asker() = default;
  };

  LookupLink(event_base* base, Asker& asker);

  // Master made a channel: the first one, or another, since lookup was restarted or the last one
  // has ended.
  void connect(UniqueFd socket);
  // The channel has ended, and there is no other yet.
  [[nodiscard]] bool lost() const { return lost_; }

  // Without a channel, or after kDeadline from here on, the answer is lookup_failed.
  void resolve(std::uint64_t connection, std::uint64_t request, const std::string& client,
               std::string address) override;
  // What lookup has been asked is answered all the same.
  void abandon(std::uint64_t connection) override { waiting_.drop(connection); }

  // Asks for the worker of this ticket's owner; master answers. False: lookup is not there.
  [[nodiscard]] bool want_worker(std::string_view ticket);

  // As AuthLink's.
  void begin_auth(std::uint64_t connection, const session::AuthStart& start) override {
    auth_.begin(channel_.get(), connection, start);
  }
  void respond_auth(std::uint64_t connection, std::string_view response) override {
    auth_.respond(channel_.get(), connection, response);
  }
  void end_auth(std::uint64_t connection) override { auth_.end(channel_.get(), connection); }

  // Answers what is due at `now`.
  void expire(Clock::time_point now);

  static constexpr std::chrono::seconds kDeadline{60};

 private:
  struct Sent {
    std::uint64_t connection;
    std::uint64_t request;
    Clock::time_point deadline;
    std::vector<session::Mailbox> mailboxes = {};  // so far
    // What lookup still says of it is thrown away. Until it has said all, the question keeps its
    // place in the window: lookup closes the channel of a frontend that does not count as it does.
    bool answered = false;
  };
  void on_packet(EventChannel& channel, Packet& packet) override;
  // False: it was not asked for.
  [[nodiscard]] bool take_resolved(const Frame& frame);
  [[nodiscard]] static Result<void> add_mailboxes(Sent& sent, const Resolved& message);
  void on_closed(EventChannel& channel) override;
  void send(const Question& question);
  void send_waiting();

  event_base* base_;
  Asker& asker_;
  std::unique_ptr<EventChannel> channel_;
  bool lost_ = false;
  AuthLink auth_;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, Sent> sent_;  // by message id; kResolveWindow at most
  QuestionQueue waiting_;
};

}  // namespace lmtpd::frontend
