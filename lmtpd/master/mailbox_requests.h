// lmtpd/master/mailbox_requests.h -- the workers' requests for missing mailboxes.
//
// Each is carried out by a child of its own, kMostChildren at a time. A file system that hangs
// holds up its own requests, and those behind them for kUsualTime: a child that takes longer, or
// was killed and hangs in the kernel, has no place among those. While the latter hangs its mailbox
// gets no second child, and is answered at once, so that it takes as many mailboxes to reach
// kMostProcesses, where all others have to wait. Every request is answered once, within kDeadline.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "lmtpd/base/result.h"
#include "lmtpd/base/ticket.h"
#include "lmtpd/base/types.h"
#include "lmtpd/base/unique_fd.h"
#include "lmtpd/master/poll_set.h"

namespace lmtpd::master {

class MailboxRequests {
 public:
  struct Request {
    MailboxOwner owner;  // also whose worker asks
    pid_t worker;
    std::uint64_t id;  // the worker's
    MailboxPath path;
  };
  using OnDone = std::function<void(const Request&, const Result<void>&)>;
  // Runs in the child, as root; may block.
  using Make = std::function<Result<void>(int base, const MailboxPath&, MailboxOwner)>;

  static constexpr std::size_t kMostChildren = 16;
  static constexpr std::chrono::seconds kUsualTime{5};
  static constexpr std::size_t kMostProcesses = 512;
  static constexpr std::size_t kMostQueued = 4096;
  static constexpr std::chrono::seconds kDeadline{60};

  // `base` is virtual_mailbox_base, and outlives this.
  MailboxRequests(int base, Make make, OnDone on_done)
      : base_(base), make_(std::move(make)), on_done_(std::move(on_done)) {}
  // Kills what still runs, and leaves it (left_children.h).
  ~MailboxRequests();
  MailboxRequests(const MailboxRequests&) = delete;
  MailboxRequests& operator=(const MailboxRequests&) = delete;

  void add(Request request, Clock::time_point now);
  // Asked and not yet answered.
  [[nodiscard]] std::size_t open_of(pid_t worker) const;
  [[nodiscard]] bool empty() const { return children_.empty() && queue_.empty(); }

  void wait_in(PollSet& set);
  // Answers the children that ended, and reaps them.
  void reap();
  // What time brings: requests past their deadline, and those that waited for a place.
  void advance(Clock::time_point now);

 private:
  struct Queued {
    Request request;
    Clock::time_point until;
  };
  struct Child {
    Request request;
    Clock::time_point until;
    Clock::time_point usual_until;
    pid_t pid;
    UniqueFd answer;        // the child's pipe
    bool has_place = true;  // of kMostChildren
    bool answered = false;  // too late for what the child says: it was killed
  };

  [[nodiscard]] bool may_start() const;
  void start(Queued queued, Clock::time_point now);
  [[nodiscard]] static Result<void> read_answer(const Child& child, int status);

  int base_;
  Make make_;
  OnDone on_done_;
  std::deque<Queued> queue_;
  std::vector<Child> children_;
};

}  // namespace lmtpd::master
