// lmtpd/frontend/owner_lane.h -- one owner's way to his mailboxes: the copies that are his, and his
// worker, which is there, wanted, or on its way out.
//
// A message crosses to the worker once, with as many of its copies as fit into the window. What
// does not fit waits, in order, and so does everything while there is no worker to send it to; each
// copy is answered once, within kDeadline.
//
// A worker may stand still: its owner can stop it, and his file system can hang. One that has said
// nothing for kDeadline while something was under way, or while something waited for it to be gone
// since it is leaving, is expelled; what is under way, or comes before it is gone or says
// something, is answered at once. Where others want the room, it is so after Spool::kPatience.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <unordered_map>

#include "lmtpd/base/messages.h"
#include "lmtpd/event/event_channel.h"
#include "lmtpd/event/event_ptr.h"
#include "lmtpd/frontend/body.h"
#include "lmtpd/session/session.h"

namespace lmtpd::frontend {

class OwnerLane final : public EventChannel::Owner {
 public:
  using MessageId = std::uint64_t;
  // The messages of all lanes.
  class Messages {
   public:
    [[nodiscard]] virtual const Body& body_of(MessageId message) const = 0;
    // It has one copy, and is all that is under way.
    [[nodiscard]] virtual bool is_alone(MessageId message) const = 0;
    // Once for each copy of add(); never from within add() or pump(). After the last one of all
    // lanes the message is gone.
    virtual void answer(MessageId message, std::size_t copy, Result<void> outcome) = 0;

   protected:
    ~Messages() = default;
  };
  // Where workers come from.
  class Workers {
   public:
    // There is no worker for this ticket's owner: have master introduce one. False: lookup is not
    // there.
    [[nodiscard]] virtual bool want_worker(std::string_view ticket) = 0;
    // This worker broke the rules of its channel, or stands still.
    virtual void expel_worker(MailboxOwner owner) = 0;
    // It happened once more.
    virtual void count(Counter counter) = 0;

   protected:
    ~Workers() = default;
  };

  OwnerLane(event_base* base, MailboxOwner owner, Messages& messages, Workers& workers);

  // A copy, which leaves at pump(). True: the first of its message's in this lane.
  [[nodiscard]] bool add(MessageId message, std::size_t copy, session::Copy what,
                         Clock::time_point now);
  // Sends what can be sent, or asks for a worker.
  void pump();

  // What master says: a channel to the worker, or that there is none now. Where there is a channel,
  // to a worker that has ended or to this same one, the new one is used as soon as all that was
  // sent on the other is answered, or its end has been read: outcomes may stand before it.
  void introduce(UniqueFd socket);
  void refuse(const Error& error);
  // Nobody remembers that a worker was asked for.
  void forget_wanted();

  // Once a second: answers the copies whose deadline has passed, expels the worker if it stands
  // still, and asks again for one that was not to be had. `gives_way`: others want its room.
  void expire(Clock::time_point now, bool gives_way);

  // Of the unanswered copies and their bodies, as Spool counts them.
  [[nodiscard]] std::uint64_t octets() const { return octets_; }
  // There is nothing in it, and no channel.
  [[nodiscard]] bool is_idle() const { return !channel_ && waiting_.empty(); }

  // From add() to the outcome.
  static constexpr std::chrono::seconds kDeadline{120};
  // In the channel, when no more is put into it.
  static constexpr std::size_t kMostUnsentPackets = 2;

 private:
  enum class Stage {
    none,        // no channel
    wanted,      // no channel; master was asked for one
    open,        // what waits is sent
    leaving,     // the worker takes nothing more, and ends
    going_over,  // nothing more is sent on this channel: `next_` comes behind it
  };
  struct Waiting {
    MessageId message;
    std::size_t copy;
    session::Copy what;
    Clock::time_point deadline;
  };
  using DeliveryId = std::uint64_t;
  struct Sent {
    MessageId message;
    std::size_t copy;
    Clock::time_point deadline;
    DeliveryId file;       // in `files_`; 0: the body was in the message
    bool expired = false;  // answered 451; the worker's word is still to come
  };

  void on_packet(EventChannel& channel, Packet& packet) override;
  void on_closed(EventChannel& channel) override;
  void on_drained(EventChannel&) override { pump(); }
  [[nodiscard]] bool on_frame(const Frame& frame);
  [[nodiscard]] bool on_outcome(const Outcome& outcome);
  static void on_refuse(evutil_socket_t, short, void* self) noexcept;
  void open(UniqueFd socket);
  [[nodiscard]] bool send_front();
  // Outcomes, or its end, which others wait for.
  [[nodiscard]] bool owes() const {
    return !sent_.empty() || (stage_ == Stage::leaving && !waiting_.empty());
  }
  void expel(std::chrono::seconds silence);
  void fail_waiting(const Error& error);
  void refuse_waiting();
  void done(MessageId message, std::size_t copy, Result<void> outcome);

  event_base* base_;
  const MailboxOwner owner_;
  Messages& messages_;
  Workers& workers_;
  Stage stage_ = Stage::none;
  bool stands_still_ = false;  // it was expelled for it, and has said nothing since
  std::unique_ptr<EventChannel> channel_;
  UniqueFd next_;
  std::deque<Waiting> waiting_;
  std::map<DeliveryId, Sent> sent_;  // in the order of their deadlines
  // The descriptors that the worker holds, each by the first delivery that it was sent for, and how
  // many of `sent_` have it.
  std::unordered_map<DeliveryId, std::size_t> files_;
  DeliveryId next_delivery_ = 1;
  std::unordered_map<MessageId, std::size_t> unanswered_;  // copies
  std::uint64_t octets_ = 0;
  Clock::time_point heard_{};  // its last word, or when it first owed one
  EventPtr refuse_;
};

}  // namespace lmtpd::frontend
