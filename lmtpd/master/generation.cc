#include "lmtpd/master/generation.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "lmtpd/base/counters.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/messages.h"
#include "lmtpd/master/briefings.h"
#include "lmtpd/master/mailbox_maker.h"

namespace lmtpd::master {
namespace {

using std::chrono::seconds;

constexpr seconds kStartTime{60};
// Without frontends nobody waits for a worker's answer; it ends what the disk is doing.
constexpr seconds kWorkerTime{10};
constexpr seconds kHelperTime{5};
constexpr seconds kHurriedTime{2};
// After a SIGKILL. What then still hangs, in the kernel, is left behind.
constexpr seconds kKillTime{10};

bool exited_with(int status, int code) { return WIFEXITED(status) && WEXITSTATUS(status) == code; }

}  // namespace

StartResult<Generation::Shared> Generation::Shared::make() {
  StartResult<RolePrograms> programs = RolePrograms::open();
  if (!programs) return tl::unexpected(std::move(programs.error()));
  Result<UniqueFd> page = make_shared_memory<CounterNumbers>();
  if (!page) return system_failure(page.error().text);
  return Shared{std::move(*programs), make_ticket_key(), std::move(*page)};
}

Generation::Generation(Configuration configuration, Sockets sockets, const Shared& shared)
    : configuration_(std::move(configuration)),
      sockets_(std::move(sockets)),
      shared_(&shared),
      shared_syncs_(SharedSyncs::find(configuration_.settings)),
      on_lookup_([this](RoleProcess& role, Frame& frame) { return on_lookup(role, frame); }),
      on_frontend_([this](RoleProcess& role, Frame& frame) { return on_frontend(role, frame); }),
      on_committer_([](RoleProcess& role, Frame& frame) { return on_committer(role, frame); }),
      // A draining frontend still has recipients to look up, and mail to be committed.
      lookup_{.title = "lookup", .needed_until = Phase::draining_frontends},
      committer_{.title = "committer", .needed_until = Phase::draining_frontends},
      frontends_(configuration_.settings.frontend_processes),
      lookup_channels_(frontends_.size()),
      workers_(
          {.program = &shared.programs.worker,
           .policy = &configuration_.owner_policy,
           .parameters = &configuration_.parameters,
           .shared_syncs = &shared_syncs_,
           .ticket_key = shared.ticket_key,
           .limit = configuration_.settings.worker_limit},
          [this](std::uint32_t number) { return find_frontend(number); },
          [this](RoleProcess& role, Frame& frame) { return on_worker(role, frame); }),
      mailboxes_(configuration_.mail_base.get(), make_mailbox,
                 [this](const MailboxRequests::Request& request, const Result<void>& made) {
                   on_mailbox_done(request, made);
                 }) {
  for (std::size_t i = 0; i < frontends_.size(); ++i) {
    frontends_[i].title = fmt::format("frontend {}", i);
  }
}

// ---- starting

void Generation::start(Clock::time_point now) {
  enter(Phase::starting, now + kStartTime);
  restart_due(now);
}

bool Generation::awaits_start(const Slot& slot) const {
  return !slot.process && phase_ <= slot.needed_until && !failure_;
}

void Generation::restart_due(Clock::time_point now) {
  const auto is_due = [this, now](const Slot& slot) {
    return awaits_start(slot) && now >= slot.start_at;
  };
  if (is_due(lookup_)) start_lookup(now);
  if (has_committer() && is_due(committer_)) start_committer(now);
  for (std::uint32_t i = 0; i < frontends_.size(); ++i) {
    if (is_due(frontends_[i])) start_frontend(i, now);
  }
}

void Generation::start_lookup(Clock::time_point now) {
  const auto briefing = [this](RoleProcess& lookup) {
    return brief_lookup(lookup, configuration_, sockets_, *shared_);
  };
  if (!start_role(lookup_, shared_->programs.lookup, briefing, now)) return;
  for (std::uint32_t i = 0; i < frontends_.size(); ++i) acquaint(i, now);
}

void Generation::start_committer(Clock::time_point now) {
  const auto briefing = [this](RoleProcess& committer) {
    return brief_committer(committer, configuration_, shared_syncs_, *shared_);
  };
  start_role(committer_, shared_->programs.committer, briefing, now);
}

void Generation::start_frontend(std::uint32_t number, Clock::time_point now) {
  const auto briefing = [this, number](RoleProcess& frontend) {
    return brief_frontend(frontend, number, configuration_, sockets_, *shared_);
  };
  if (start_role(frontends_[number], shared_->programs.frontend, briefing, now)) {
    acquaint(number, now);
  }
}

bool Generation::start_role(Slot& slot, const RoleProgram& program, const Briefing& briefing,
                            Clock::time_point now) {
  Result<std::unique_ptr<RoleProcess>> process = RoleProcess::launch(program, slot.title);
  const Result<void> briefed =
      process.and_then([&](std::unique_ptr<RoleProcess>& role) { return briefing(*role); });
  if (!briefed) {
    const Backoff::Duration wait = slot.backoff.after_death({});
    log_error("{}: {}; again in {} ms", slot.title, briefed.error().text, wait.count());
    slot.start_at = now + wait;
    return false;
  }
  slot.process = std::move(*process);
  return true;
}

void Generation::acquaint(std::uint32_t frontend, Clock::time_point now) {
  lookup_channels_.make(frontend, find_frontend(frontend), lookup_.process.get(), now);
}

bool Generation::ready() const {
  const auto is_ready = [](const Slot& slot) { return slot.process && slot.process->ready(); };
  return is_ready(lookup_) && (!has_committer() || is_ready(committer_)) &&
         std::ranges::all_of(frontends_, is_ready);
}

StartResult<void> Generation::publish() {
  StartResult<void> free = sockets_.control.check_free();
  return free ? sockets_.control.publish() : free;
}

void Generation::serve() {
  phase_ = Phase::serving;
  const auto tell = [](const Slot& slot) {
    if (slot.process && slot.process->ready()) slot.process->tell(Serve{});
  };
  tell(lookup_);
  std::ranges::for_each(frontends_, tell);
  flush();
}

std::string Generation::not_ready() const {
  std::string list;
  const auto check = [&list](const Slot& slot) {
    if (slot.process && slot.process->ready()) return;
    list += (list.empty() ? "" : ", ") + slot.title;
  };
  check(lookup_);
  if (has_committer()) check(committer_);
  for (const Slot& slot : frontends_) check(slot);
  return list;
}

void Generation::check_start(Clock::time_point now) {
  if (phase_ != Phase::starting || failure_ || ready() || now < deadline_) return;
  failure_ = StartFailure{
      EXIT_FAILURE, fmt::format("not ready within {} s: {}", kStartTime.count(), not_ready())};
}

// ---- what the roles say

bool Generation::on_ready(RoleProcess& role, Frame& frame) {
  if (role.ready() || !decode<Ready>(frame.payload)) return false;
  role.set_ready();
  return true;
}

bool Generation::on_server_ready(RoleProcess& role, Frame& frame) {
  if (!on_ready(role, frame)) return false;
  // Started again. Lookup may be while the generation drains: then frontends alone need it.
  if (phase_ == Phase::serving) role.tell(Serve{});
  return true;
}

bool Generation::on_lookup(RoleProcess& role, Frame& frame) {
  if (!frame.descriptors.empty()) return false;
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::ready:
      return on_server_ready(role, frame);
    case MessageType::start_worker:
      return role.ready() && on_start_worker(frame);
    default:
      return false;
  }
}

bool Generation::on_frontend(RoleProcess& role, Frame& frame) {
  if (!frame.descriptors.empty()) return false;
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::ready:
      return on_server_ready(role, frame);
    case MessageType::expel_worker:
      return role.ready() && on_expel_worker(role, frame);
    case MessageType::want_lookup:
      return role.ready() && on_want_lookup(role, frame);
    default:
      return false;
  }
}

bool Generation::on_worker(RoleProcess& role, Frame& frame) {
  if (!frame.descriptors.empty()) return false;
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::ready:
      return on_ready(role, frame);
    case MessageType::make_mailbox:
      return role.ready() && on_make_mailbox(role, frame);
    default:
      return false;
  }
}

bool Generation::on_committer(RoleProcess& role, Frame& frame) {
  return frame.descriptors.empty() && static_cast<MessageType>(frame.type) == MessageType::ready &&
         on_ready(role, frame);
}

bool Generation::on_start_worker(Frame& frame) {
  const std::optional<StartWorker> message = decode<StartWorker>(frame.payload);
  if (!message || message->frontend >= frontends_.size()) return false;
  workers_.want(message->frontend, message->owner, Clock::now());
  return true;
}

bool Generation::on_expel_worker(RoleProcess& role, Frame& frame) {
  const std::optional<ExpelWorker> message = decode<ExpelWorker>(frame.payload);
  if (!message) return false;
  workers_.expel(message->owner, role);
  return true;
}

bool Generation::on_want_lookup(RoleProcess& role, Frame& frame) {
  if (!decode<WantLookup>(frame.payload)) return false;
  const auto asks = [&role](const Slot& slot) { return slot.process.get() == &role; };
  const auto number = std::ranges::find_if(frontends_, asks) - frontends_.begin();
  lookup_channels_.make_again(static_cast<std::uint32_t>(number), &role, lookup_.process.get(),
                              Clock::now());
  return true;
}

bool Generation::on_make_mailbox(RoleProcess& role, Frame& frame) {
  const std::optional<MakeMailbox> message = decode<MakeMailbox>(frame.payload);
  const std::optional<MailboxOwner> owner = workers_.owner_of(role);
  if (!message || !owner || mailboxes_.open_of(role.pid()) >= kDeliveryWindow) return false;
  const Clock::time_point now = Clock::now();
  const std::optional<Ticket> ticket =
      open_ticket_as_maker(shared_->ticket_key, message->ticket, now);
  if (!ticket || ticket->owner != *owner) {
    log_error("{} (pid {}): mailbox not made: the ticket is forged, another's, or expired",
              role.title(), role.pid());
    role.tell(MailboxMade{
        .id = message->id, .reason = Reason::no_access, .text = "the ticket does not allow it"});
    return true;
  }
  mailboxes_.add({*owner, role.pid(), message->id, ticket->path}, now);
  return true;
}

void Generation::on_mailbox_done(const MailboxRequests::Request& request,
                                 const Result<void>& made) {
  if (made) {
    log_info("mailbox {} made for {}:{}", escaped(request.path.value()), request.owner.uid.value(),
             request.owner.gid.value());
  } else {
    log_warning("mailbox {} not made for {}:{}: {}", escaped(request.path.value()),
                request.owner.uid.value(), request.owner.gid.value(), escaped(made.error().text));
  }
  RoleProcess* worker = workers_.find(request.owner, request.worker);
  if (worker == nullptr) return;
  MailboxMade answer{.id = request.id, .made = made.has_value()};
  if (!made) {
    answer.reason = made.error().reason;
    answer.text = made.error().text;
  }
  worker->tell(answer);
}

// ---- each turn

void Generation::wait_in(PollSet& set, Clock::time_point now) {
  if (phase_ != Phase::serving) set.add_deadline(killed_ ? deadline_ + kKillTime : deadline_);
  const auto wait_slot = [&](Slot& slot, const RoleProcess::OnFrame& on_frame) {
    if (slot.process) {
      slot.process->wait_in(set, on_frame);
    } else if (awaits_start(slot)) {
      set.add_deadline(slot.start_at);
    }
  };
  wait_slot(lookup_, on_lookup_);
  if (has_committer()) wait_slot(committer_, on_committer_);
  for (Slot& slot : frontends_) wait_slot(slot, on_frontend_);
  workers_.wait_in(set, now);
  mailboxes_.wait_in(set);
}

void Generation::turn(Clock::time_point now) {
  reap(lookup_, now);
  reap(committer_, now);
  for (Slot& slot : frontends_) reap(slot, now);
  workers_.reap(now);
  mailboxes_.reap();
  restart_due(now);
  workers_.advance(now);
  mailboxes_.advance(now);
  check_start(now);
  advance_phases(now);
  flush();
}

void Generation::flush() {
  for (const Slot* slot : helpers()) {
    if (slot->process) slot->process->flush();
  }
  for (const Slot& slot : frontends_) {
    if (slot.process) slot.process->flush();
  }
  workers_.flush();
}

void Generation::reap(Slot& slot, Clock::time_point now) {
  if (!slot.process) return;
  const std::optional<int> status = slot.process->reap();
  if (!status) return;
  const std::unique_ptr<RoleProcess> dead = std::move(slot.process);
  if (phase_ == Phase::starting && !dead->ready() && exited_with(*status, EX_CONFIG)) {
    failure_ = StartFailure{EX_CONFIG, fmt::format("{} refused the configuration", dead->title())};
    return;
  }
  if (configuration_.check_only && !dead->ready() && WIFEXITED(*status)) {
    failure_ = StartFailure{WEXITSTATUS(*status),
                            fmt::format("{} says that not all is in order", dead->title())};
    return;
  }
  if (dead->stopping()) {
    // Before it was ready stop() has killed it, for a start that failed: no news.
    if (*status != 0 && dead->ready()) {
      log_warning("{} (pid {}) {} as it ended", dead->title(), dead->pid(), status_text(*status));
    }
    return;
  }
  if (phase_ > slot.needed_until) {
    log_error("{} (pid {}) {}", dead->title(), dead->pid(), status_text(*status));
    return;
  }
  const Backoff::Duration wait = slot.backoff.after_death(now - dead->launched());
  slot.start_at = now + wait;
  log_error("{} (pid {}) {}; started again in {} ms", dead->title(), dead->pid(),
            status_text(*status), wait.count());
}

RoleProcess* Generation::find_frontend(std::uint32_t number) const {
  RoleProcess* process = frontends_[number].process.get();
  return process != nullptr && process->alive() ? process : nullptr;
}

bool Generation::frontends_gone() const {
  return std::ranges::all_of(frontends_, [](const Slot& slot) { return !slot.process; });
}

// ---- ending

void Generation::enter(Phase phase, Clock::time_point deadline) {
  phase_ = phase;
  deadline_ = deadline;
  killed_ = false;
}

void Generation::stop(Clock::time_point now) {
  if (phase_ > Phase::serving) return;
  enter(Phase::draining_frontends, now + configuration_.settings.drain_time);
  sockets_.listeners.clear();
  for (const Slot& slot : frontends_) {
    if (slot.process) slot.process->stop();
  }
  // Without a frontend no event would bring the next turn.
  advance_phases(now);
}

void Generation::retire(Clock::time_point now) {
  if (lookup_.process && lookup_.process->ready()) lookup_.process->tell(Retire{});
  stop(now);
  flush();
}

void Generation::hurry(Clock::time_point now) {
  stop(now);
  hurried_ = true;
  deadline_ = std::min(deadline_, now + kHurriedTime);
}

void Generation::kill_phase() {
  killed_ = true;
  const auto kill_slot = [](const Slot& slot) {
    if (!slot.process) return;
    log_warning("{} (pid {}) did not end in time: killed", slot.title, slot.process->pid());
    slot.process->kill();
  };
  if (phase_ == Phase::draining_frontends) std::ranges::for_each(frontends_, kill_slot);
  if (phase_ == Phase::draining_workers && !workers_.empty()) {
    log_warning("workers did not end in time: killed");
    workers_.kill();
  }
  if (phase_ == Phase::draining_helpers) {
    for (const Slot* slot : helpers()) kill_slot(*slot);
  }
}

// A phase with nothing to end is over at once.
void Generation::advance_phases(Clock::time_point now) {
  for (Phase before = Phase::ended; before != phase_;) {
    before = phase_;
    advance_drain(now);
  }
}

void Generation::advance_drain(Clock::time_point now) {
  if (phase_ < Phase::draining_frontends || phase_ == Phase::ended) return;
  if (now >= deadline_ && !killed_) kill_phase();
  const bool given_up = killed_ && now >= deadline_ + kKillTime;
  if (phase_ == Phase::draining_frontends && (frontends_gone() || given_up)) {
    workers_.stop();
    enter(Phase::draining_workers, now + (hurried_ ? kHurriedTime : kWorkerTime));
  } else if (phase_ == Phase::draining_workers &&
             ((workers_.empty() && mailboxes_.empty()) || given_up)) {
    for (const Slot* slot : helpers()) {
      if (slot->process) slot->process->stop();
    }
    enter(Phase::draining_helpers, now + (hurried_ ? kHurriedTime : kHelperTime));
  } else if (phase_ == Phase::draining_helpers &&
             ((!lookup_.process && !committer_.process) || given_up)) {
    for (const Slot* slot : helpers()) {
      if (!slot->process) continue;
      log_error("{} (pid {}) hangs and is left behind", slot->title, slot->process->pid());
    }
    enter(Phase::ended, now);
  }
}

}  // namespace lmtpd::master
