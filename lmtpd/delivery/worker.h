// lmtpd/delivery/worker.h -- the worker: delivers for one (uid, gid), as that user.
//
// A turn of its loop reads all that the channels hold, gives it to threads (delivery_threads.h),
// and sends each frontend in one packet the outcomes that are there by then, in the order in which
// the deliveries ended. What a frontend says is all that it has under way is delivered by the loop
// itself, if no thread is at work and the body is not a memfd. In a turn that finds nothing to
// read, and no answer that still has to leave, it removes old files from tmp/ of mailboxes that got
// mail (maildir/tmp_sweep.h).
//
//   frontend --Deliver--> worker --Outcome--> frontend
//                           |
//                           +--MakeMailbox--> master --MailboxMade--> worker   (where it is
//                           missing)
//
// Every delivery has a ticket, which only lookup can make and which names this owner; the path to
// deliver to is the ticket's. A frontend that breaks the rules loses its channel, and what it had
// asked for on it is not delivered unless a thread has it already: its client never got an answer,
// and asks again.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "lmtpd/base/channel.h"
#include "lmtpd/base/messages.h"
#include "lmtpd/base/ticket.h"
#include "lmtpd/delivery/delivery_threads.h"
#include "lmtpd/delivery/frontend_link.h"
#include "lmtpd/delivery/missing_mailboxes.h"
#include "maildir/tmp_sweep.h"

namespace lmtpd::delivery {

class Worker {
 public:
  struct Identity {
    MailboxOwner owner;
    Key key{};  // derived for the owner
  };

  Worker(Channel control, const Identity& identity, std::unique_ptr<DeliveryThreads> threads,
         maildir::TmpSweep tmp_sweep)
      : control_(std::move(control)),
        identity_(identity),
        threads_(std::move(threads)),
        tmp_sweep_(std::move(tmp_sweep)) {}

  // Returns once master said Stop, or is gone, and what was under way is answered.
  void run();
  // After that: threads still do, since a disk holds them up, and nobody waits for them any more.
  [[nodiscard]] bool delivers() const { return !threads_->none(); }

  // How long the frontends get to answer Leaving once master is gone. While master lives, it
  // decides.
  static constexpr std::chrono::seconds kLastWait{10};

 private:
  struct Link {
    FrontendLink frontend;
    bool readable = true;  // a new one may hold its first message
  };

  void wait();
  [[nodiscard]] int milliseconds_to_wait() const;

  void read_control();
  [[nodiscard]] bool on_control(Frame& frame);
  void introduce(const Introduce& message, UniqueFd socket);
  void on_mailbox_made(const MailboxMade& message);
  void lose_master();
  void take_leave();

  void read_links();
  [[nodiscard]] bool read_link(LinkNumber number, FrontendLink& link);
  [[nodiscard]] Result<void> on_frame(LinkNumber number, FrontendLink& link, Frame& frame);
  void add_jobs(LinkNumber number, FrontendLink& link, const Deliver& message,
                std::span<UniqueFd> descriptors);

  void deliver();
  void finish(Delivered delivered);
  [[nodiscard]] Result<void> hold_for_mailbox(Job job);
  void refuse(const Jobs& jobs, const Error& error);
  void flush();
  [[nodiscard]] bool may_sweep() const;
  [[nodiscard]] bool is_done() const;

  Channel control_;
  Identity identity_;
  std::unique_ptr<DeliveryThreads> threads_;
  maildir::TmpSweep tmp_sweep_;
  std::map<LinkNumber, Link> links_;
  LinkNumber last_link_ = 0;
  MissingMailboxes missing_;
  bool leaving_ = false;
  bool master_gone_ = false;
  std::optional<Clock::time_point> end_;  // of the last wait

  // Of one turn.
  bool idle_ = false;  // no channel had anything
  bool control_readable_ = false;
  Jobs jobs_;  // to be started

  Packet packet_;
};

}  // namespace lmtpd::delivery
