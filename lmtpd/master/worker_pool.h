// lmtpd/master/worker_pool.h -- the workers of one generation: one a (uid, gid), started when asked
// for.
//
// want() is always answered at the frontend, sooner or later: Introduce or WorkerRefused; but while
// a worker starts, a frontend that asks again has one answer, since each holds a descriptor. At
// `limit` workers the one that has been idle longest is asked to leave, and the owner waits its
// turn; a worker that died waits out its back-off, per owner, and its owner is refused meanwhile.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "lmtpd/base/owner_policy.h"
#include "lmtpd/base/ticket.h"
#include "lmtpd/base/types.h"
#include "lmtpd/master/backoff.h"
#include "lmtpd/master/role_process.h"
#include "lmtpd/master/shared_syncs.h"

namespace lmtpd::master {

class WorkerPool {
 public:
  struct Terms {
    const RoleProgram* program;
    const OwnerPolicy* policy;
    const std::string* parameters;  // Configure's
    const SharedSyncs* shared_syncs;
    Key ticket_key;
    std::uint32_t limit;  // worker_limit
  };
  // The frontend of that number, or nullptr if it does not serve now.
  using FindFrontend = std::function<RoleProcess*(std::uint32_t)>;

  WorkerPool(Terms terms, FindFrontend find_frontend, RoleProcess::OnFrame on_frame)
      : terms_(terms), find_frontend_(std::move(find_frontend)), on_frame_(std::move(on_frame)) {}

  // Introduce the worker of `owner` to that frontend.
  void want(std::uint32_t frontend, MailboxOwner owner, Clock::time_point now);
  // It broke the rules of a channel, or stands still: killed, and its owner waits out the back-off.
  // While it hangs in the kernel and does not die, its owner gets no other, and it counts as one.
  // A worker that was not introduced to `frontend`, which says so, stays: the one that is meant has
  // ended meanwhile, or `frontend` lies.
  void expel(MailboxOwner owner, const RoleProcess& frontend);

  // Asks every worker to leave; nothing is started any more.
  void stop();
  void kill();
  [[nodiscard]] bool empty() const { return workers_.empty(); }

  // The worker's owner; nullopt if the role is none of these workers.
  [[nodiscard]] std::optional<MailboxOwner> owner_of(const RoleProcess& role) const;
  // The owner's worker, if it is still the process of that pid.
  [[nodiscard]] RoleProcess* find(MailboxOwner owner, pid_t pid) const;

  void wait_in(PollSet& set, Clock::time_point now);
  // Takes note of the ends of workers.
  void reap(Clock::time_point now);
  // What time brings: owners that waited, workers that do not leave.
  void advance(Clock::time_point now);
  void flush();

 private:
  struct Worker {
    std::unique_ptr<RoleProcess> process;
    std::map<std::uint32_t, pid_t> frontends;  // whom it was introduced to last
    Clock::time_point introduced;
    Clock::time_point active;  // when its CPU time was last seen to grow
    std::chrono::nanoseconds cpu_seen{0};
    std::optional<Clock::time_point> leave_until;  // evicted: killed then
  };
  struct Waiting {
    MailboxOwner owner;
    std::set<std::uint32_t> frontends;
    Clock::time_point until;
  };
  struct Penalty {
    Backoff backoff;
    Clock::time_point until;
  };

  void introduce(std::uint32_t frontend, MailboxOwner owner, Worker& worker, Clock::time_point now);
  // Whether the worker was introduced to that process.
  [[nodiscard]] static bool knows(const Worker& worker, const RoleProcess& frontend);
  void refuse(std::uint32_t frontend, MailboxOwner owner, Reason reason, const std::string& text);
  void enqueue(std::uint32_t frontend, MailboxOwner owner, Clock::time_point now);
  [[nodiscard]] Worker* start(MailboxOwner owner, Clock::time_point now);
  void serve_waiting(Clock::time_point now);
  void observe(Clock::time_point now);
  // Whether a worker could be asked to leave.
  [[nodiscard]] bool evict_one(Clock::time_point now);
  // Those whose room is free soon.
  [[nodiscard]] std::size_t leaving() const;
  [[nodiscard]] bool is_punished(MailboxOwner owner, Clock::time_point now) const;
  void punish(MailboxOwner owner, Clock::time_point launched, Clock::time_point now);

  Terms terms_;
  FindFrontend find_frontend_;
  RoleProcess::OnFrame on_frame_;
  std::map<MailboxOwner, Worker> workers_;
  std::deque<Waiting> waiting_;  // oldest first, an owner once
  std::map<MailboxOwner, Penalty> penalties_;
  Clock::time_point observed_{};
  bool stopping_ = false;
};

}  // namespace lmtpd::master
