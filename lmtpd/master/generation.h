// lmtpd/master/generation.h -- {frontends, lookup, workers, committer} of one reading of the
// configuration.
//
// It starts its roles, introduces them to each other, lets clients in once it is told to,
// restarts those that die, answers what they ask, and ends them in order: frontends, which answer
// the transactions under way and need the others for it, then workers, then lookup and the
// committer. A role that says what it may not say is killed, as its death is survived anyway. Two
// generations run beside each other during a reload; they share the listening sockets, the ticket
// key and the counters, which stand outside.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lmtpd/base/ticket.h"
#include "lmtpd/master/backoff.h"
#include "lmtpd/master/configuration.h"
#include "lmtpd/master/listeners.h"
#include "lmtpd/master/lookup_channels.h"
#include "lmtpd/master/mailbox_requests.h"
#include "lmtpd/master/poll_set.h"
#include "lmtpd/master/role_process.h"
#include "lmtpd/master/role_program.h"
#include "lmtpd/master/shared_syncs.h"
#include "lmtpd/master/start_failure.h"
#include "lmtpd/master/unix_listener.h"
#include "lmtpd/master/worker_pool.h"

namespace lmtpd::master {

class Generation {
 public:
  struct Sockets {
    std::vector<Listeners::Share> listeners;  // of Settings::all_listeners(): frontends', lookup's
    UnixListener control;                     // lookup's
  };

  // What generations have in common beside sockets and the disk.
  struct Shared {
    // Opens the programs, and makes the rest anew.
    [[nodiscard]] static StartResult<Shared> make();

    RolePrograms programs;
    Key ticket_key;
    UniqueFd counter_page;  // CounterNumbers
  };

  // `shared` outlives it.
  Generation(Configuration configuration, Sockets sockets, const Shared& shared);
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  void start(Clock::time_point now);
  // All but workers are there, and no client has come to them yet.
  [[nodiscard]] bool ready() const;
  // control_socket leads to it from then on.
  [[nodiscard]] StartResult<void> publish();
  // It takes clients from now on, once: its configuration is the one in effect.
  void serve();
  // Why it cannot become ready: a role found the configuration wrong, or time is up.
  [[nodiscard]] const std::optional<StartFailure>& failure() const { return failure_; }

  // In order, within drain_time.
  void stop(Clock::time_point now);
  // The same, as another generation is to serve: lookup answers Postfix no more.
  void retire(Clock::time_point now);
  // No more waiting for clients: what does not end at once is killed.
  void hurry(Clock::time_point now);
  [[nodiscard]] bool ended() const { return phase_ == Phase::ended; }

  void wait_in(PollSet& set, Clock::time_point now);
  // After the turn's messages: ends of processes, time, and then the answers.
  void turn(Clock::time_point now);

  [[nodiscard]] const Configuration& configuration() const { return configuration_; }

 private:
  enum class Phase {
    starting,
    serving,
    draining_frontends,
    draining_workers,
    draining_helpers,  // lookup and the committer
    ended
  };
  // A role that is always there: its process, or when the next one starts.
  struct Slot {
    std::string title;
    Phase needed_until = Phase::serving;  // started again until that is over
    std::unique_ptr<RoleProcess> process;
    Backoff backoff;
    Clock::time_point start_at{};
  };

  void start_lookup(Clock::time_point now);
  void start_committer(Clock::time_point now);
  void start_frontend(std::uint32_t number, Clock::time_point now);
  // What a role is told before it starts; where that fails, or its launch, it is tried again later.
  using Briefing = std::function<Result<void>(RoleProcess&)>;
  bool start_role(Slot& slot, const RoleProgram& program, const Briefing& briefing,
                  Clock::time_point now);
  void acquaint(std::uint32_t frontend, Clock::time_point now);
  void reap(Slot& slot, Clock::time_point now);

  // What each role may say; false: it may not.
  [[nodiscard]] bool on_lookup(RoleProcess& role, Frame& frame);
  [[nodiscard]] bool on_frontend(RoleProcess& role, Frame& frame);
  [[nodiscard]] bool on_worker(RoleProcess& role, Frame& frame);
  [[nodiscard]] static bool on_committer(RoleProcess& role, Frame& frame);
  [[nodiscard]] static bool on_ready(RoleProcess& role, Frame& frame);
  // Of a role that clients come to.
  [[nodiscard]] bool on_server_ready(RoleProcess& role, Frame& frame);
  [[nodiscard]] bool on_start_worker(Frame& frame);
  [[nodiscard]] bool on_expel_worker(RoleProcess& role, Frame& frame);
  [[nodiscard]] bool on_want_lookup(RoleProcess& role, Frame& frame);
  [[nodiscard]] bool on_make_mailbox(RoleProcess& role, Frame& frame);
  void on_mailbox_done(const MailboxRequests::Request& request, const Result<void>& made);

  [[nodiscard]] RoleProcess* find_frontend(std::uint32_t number) const;
  [[nodiscard]] bool frontends_gone() const;
  // Only where a sync is shared, and there is somebody to share it.
  [[nodiscard]] bool has_committer() const {
    return !shared_syncs_.empty() && !configuration_.check_only;
  }
  [[nodiscard]] std::array<const Slot*, 2> helpers() const { return {&lookup_, &committer_}; }
  [[nodiscard]] std::string not_ready() const;
  void check_start(Clock::time_point now);
  [[nodiscard]] bool awaits_start(const Slot& slot) const;
  void restart_due(Clock::time_point now);
  void advance_phases(Clock::time_point now);
  void advance_drain(Clock::time_point now);
  void enter(Phase phase, Clock::time_point deadline);
  void kill_phase();
  void flush();

  Configuration configuration_;
  Sockets sockets_;
  const Shared* shared_;
  SharedSyncs shared_syncs_;

  Phase phase_ = Phase::starting;
  Clock::time_point deadline_{};  // of the phase, but for serving
  bool killed_ = false;           // the phase's deadline passed
  bool hurried_ = false;
  std::optional<StartFailure> failure_;

  RoleProcess::OnFrame on_lookup_;
  RoleProcess::OnFrame on_frontend_;
  RoleProcess::OnFrame on_committer_;
  Slot lookup_;
  Slot committer_;
  std::vector<Slot> frontends_;
  LookupChannels lookup_channels_;
  WorkerPool workers_;
  MailboxRequests mailboxes_;
};

}  // namespace lmtpd::master
