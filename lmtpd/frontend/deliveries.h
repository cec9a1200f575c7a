// lmtpd/frontend/deliveries.h -- messages on their way to the workers, and the outcomes on their
// way back.
//
// Each owner's copies go his own way (owner_lane.h). A message that waits holds its body once,
// whatever the number of its copies; on its way it is in each worker's channel, which takes no more
// than two packets at a time.
//
// Where messages wait for room, and what is not answered yet for one of several owners, bodies and
// copies as Spool counts them, takes more than an equal part of it or than a quarter, his worker is
// given Spool::kPatience to say something, and not kDeadline.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "lmtpd/base/types.h"
#include "lmtpd/event/event_ptr.h"
#include "lmtpd/frontend/body.h"
#include "lmtpd/frontend/message_name.h"
#include "lmtpd/frontend/owner_lane.h"
#include "lmtpd/session/session.h"

namespace lmtpd::frontend {

class Deliveries final : public OwnerLane::Messages {
 public:
  class Sender : public OwnerLane::Workers {
   public:
    // Once for each copy of start(); never from within it.
    virtual void on_copy_done(const MessageName& message, std::size_t copy,
                              Result<void> outcome) = 0;
    // Every copy of the message is done, and its body gone.
    virtual void on_message_done(const MessageName& message) = 0;

   protected:
    ~Sender() = default;
  };

  // `room`: octets that the messages of all owners may take together.
  Deliveries(event_base* base, Sender& sender, std::uint64_t room);

  // `body` is sealed.
  void start(const MessageName& name, Body body, std::vector<session::Copy> copies);

  // What master says: a channel to this owner's worker, or that there is none now.
  void introduce(MailboxOwner owner, UniqueFd socket);
  void refuse(MailboxOwner owner, const Error& error);

  // Lookup is gone, and with it what it was asked for.
  void forget_wanted();

  // Once a second: what time brings in each lane; forgets the owners that there is nothing of.
  // `room_is_short`: a message waits for it.
  void expire(Clock::time_point now, bool room_is_short);

  [[nodiscard]] bool none() const { return messages_.empty(); }
  // Owners who have a channel, or had something for one since the last expire().
  [[nodiscard]] std::size_t owners() const { return lanes_.size(); }

  // From start() to the outcome.
  static constexpr std::chrono::seconds kDeadline = OwnerLane::kDeadline;

 private:
  using MessageId = OwnerLane::MessageId;
  struct Message {
    MessageName name;
    Body body;
    std::size_t unanswered;
  };

  // Made where there is none.
  OwnerLane& lane_of(MailboxOwner owner);
  [[nodiscard]] bool has_too_much(const OwnerLane& lane) const;

  // OwnerLane::Messages
  [[nodiscard]] const Body& body_of(MessageId message) const override;
  [[nodiscard]] bool is_alone(MessageId message) const override;
  void answer(MessageId message, std::size_t copy, Result<void> outcome) override;

  event_base* base_;
  Sender& sender_;
  const std::uint64_t room_;
  MessageId next_message_ = 1;
  std::unordered_map<MessageId, Message> messages_;
  std::map<MailboxOwner, OwnerLane> lanes_;
};

}  // namespace lmtpd::frontend
