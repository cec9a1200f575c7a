// lmtpd/frontend/deliveries.h -- messages on their way to the workers, and the outcomes on their
// way back.
//
// A message crosses to a worker once, with as many of its copies as are that worker's and fit into
// the window. What does not fit waits here, in order, and so does everything for an owner that has
// no worker yet. A message that waits holds its body once, whatever the number of its copies; on
// its way it is in each worker's channel, which takes no more than two packets at a time.
//
// A worker may stand still: its owner can stop it, and his file system can hang. One that has said
// nothing for kDeadline while something was under way, or while something waited for it to be gone
// since it is leaving, is expelled, and what is under way for its owner, or comes before it is gone
// or says something, is answered at once. Where messages wait for room, and what is not answered
// yet for one of several owners, bodies and copies as Spool counts them, takes more than an equal
// part of it or than a quarter, that is so after Spool::kPatience.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "lmtpd/base/messages.h"
#include "lmtpd/event/event_channel.h"
#include "lmtpd/event/event_ptr.h"
#include "lmtpd/frontend/body.h"
#include "lmtpd/frontend/message_name.h"
#include "lmtpd/session/session.h"

namespace lmtpd::frontend {

class Deliveries final : public EventChannel::Owner {
 public:
  class Sender {
   public:
    // Once for each copy of start(); never from within it.
    virtual void on_copy_done(const MessageName& message, std::size_t copy,
                              Result<void> outcome) = 0;
    // Every copy of the message is done, and its body gone.
    virtual void on_message_done(const MessageName& message) = 0;
    // There is no worker for this ticket's owner: have master introduce one. False: lookup is not
    // there.
    [[nodiscard]] virtual bool want_worker(std::string_view ticket) = 0;
    // This worker broke the rules of its channel, or stands still.
    virtual void expel_worker(MailboxOwner owner) = 0;
    // It happened once more.
    virtual void count(Counter counter) = 0;

   protected:
    ~Sender() = default;
  };

  // `room`: octets that the messages of all owners may take together.
  Deliveries(event_base* base, Sender& sender, std::uint64_t room);

  // `body` is sealed.
  void start(const MessageName& name, Body body, std::vector<session::Copy> copies);

  // What master says: a channel to this owner's worker, or that there is none now. Where there is a
  // channel, to a worker that has ended or to this same one, the new one is used as soon as all
  // that was sent on the other is answered, or its end has been read: outcomes may stand before it.
  void introduce(MailboxOwner owner, UniqueFd socket);
  void refuse(MailboxOwner owner, const Error& error);

  // Lookup is gone, and with it what it was asked for.
  void forget_wanted();

  // Once a second: answers the copies whose deadline has passed, expels the workers that stand
  // still, asks again for those that were not to be had, and forgets the owners that there is
  // nothing of. `room_is_short`: a message waits for it.
  void expire(Clock::time_point now, bool room_is_short);

  [[nodiscard]] bool none() const { return messages_.empty(); }
  // Owners who have a channel, or had something for one since the last expire().
  [[nodiscard]] std::size_t owners() const { return workers_.size(); }

  // From start() to the outcome.
  static constexpr std::chrono::seconds kDeadline{120};
  // In a worker's channel, when no more is put into it.
  static constexpr std::size_t kMostUnsentPackets = 2;

 private:
  struct Message {
    MessageName name;
    Body body;
    std::size_t unanswered;
  };
  using MessageId = std::uint64_t;
  struct Waiting {
    MessageId message;
    std::size_t copy;
    session::Copy what;
    Clock::time_point deadline;
  };
  struct Sent {
    MessageId message;
    std::size_t copy;
    Clock::time_point deadline;
    bool expired = false;  // answered 451; the worker's word is still to come
    std::uint64_t file;    // in `files`; 0: its body was in the message
  };
  // A copy for a worker that stands still, until start() is over.
  struct Refused {
    MessageId message;
    std::size_t copy;
  };
  // Everything about one owner's worker.
  struct Worker {
    MailboxOwner owner;
    std::unique_ptr<EventChannel> channel;
    UniqueFd next;         // of the channel behind that one, which takes nothing more then
    bool leaving = false;  // it takes nothing more
    bool wanted = false;   // master was asked for one
    std::deque<Waiting> waiting;
    std::map<std::uint64_t, Sent> sent;  // by delivery id: in the order of their deadlines
    // The descriptors that the worker holds, and of how many deliveries in `sent` each is the body.
    std::unordered_map<std::uint64_t, std::size_t> files;
    std::unordered_map<MessageId, std::size_t> unanswered;  // copies
    std::uint64_t octets = 0;   // of those messages and copies, as Spool counts them
    Clock::time_point heard{};  // its last word, or when it first owed one
    bool stands_still = false;

    // Outcomes, or its end, which others wait for.
    [[nodiscard]] bool owes() const { return !sent.empty() || (leaving && !waiting.empty()); }
  };

  void on_packet(EventChannel& channel, Packet& packet) override;
  void on_closed(EventChannel& channel) override;
  void on_drained(EventChannel& channel) override;
  Worker& worker_of(const EventChannel& channel);
  // Made where there is none.
  Worker& worker_for(MailboxOwner owner);
  [[nodiscard]] bool on_frame(Worker& worker, const Frame& frame);
  void open(Worker& worker, UniqueFd socket);
  void pump(Worker& worker);
  [[nodiscard]] bool send_front(Worker& worker);
  void fail_waiting(Worker& worker, const Error& error);
  void expel(Worker& worker, std::chrono::seconds silence);
  [[nodiscard]] bool has_too_much(const Worker& worker) const;
  static void on_refused(evutil_socket_t, short, void* self) noexcept;
  void answer_refused();
  void done(Worker& worker, MessageId message, std::size_t copy, Result<void> outcome);
  void answer(MessageId message, std::size_t copy, Result<void> outcome);

  event_base* base_;
  Sender& sender_;
  const std::uint64_t room_;
  MessageId next_message_ = 1;
  std::uint64_t next_delivery_ = 1;
  std::unordered_map<MessageId, Message> messages_;
  std::map<MailboxOwner, Worker> workers_;
  std::unordered_map<const EventChannel*, Worker*> by_channel_;
  std::vector<Refused> refused_;
  EventPtr refused_event_;
};

}  // namespace lmtpd::frontend
