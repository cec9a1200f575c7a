#include "lmtpd/master/worker_pool.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "lmtpd/base/log.h"

namespace lmtpd::master {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMostWaiting = 1024;  // owners
constexpr seconds kLongestWait{30};
// A worker answers what is under way when it is asked to leave; the frontends' own deadline for an
// outcome is 120 s.
constexpr seconds kLongestLeave{120};
// Long enough for the frontend that it was introduced to to send what it has for it.
constexpr milliseconds kShortestStay{100};
constexpr seconds kObservation{5};

constexpr const char* kPunished = "the owner's worker died a moment ago";

std::string text(MailboxOwner owner) {
  return fmt::format("{}:{}", owner.uid.value(), owner.gid.value());
}

// What the process has used so far; no right over it is needed.
std::chrono::nanoseconds cpu_time(pid_t pid) {
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return {};
  return seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace

void WorkerPool::want(std::uint32_t frontend, MailboxOwner owner, Clock::time_point now) {
  if (const std::optional<std::string> why = terms_.policy->refusal(owner)) {
    log_warning("worker {}: refused: {}", text(owner), *why);
    refuse(frontend, owner, Reason::bad_mailbox, *why);
    return;
  }
  if (stopping_) {
    refuse(frontend, owner, Reason::overload, "the daemon stops");
    return;
  }
  const auto running = workers_.find(owner);
  if (running != workers_.end() && running->second.process->serves()) {
    introduce(frontend, owner, running->second, now);
    return;
  }
  // Whoever was killed may hang in the kernel.
  if (is_punished(owner, now) || (running != workers_.end() && !running->second.process->alive())) {
    refuse(frontend, owner, Reason::io, kPunished);
    return;
  }
  // Served at the end of this turn.
  enqueue(frontend, owner, now);
}

void WorkerPool::enqueue(std::uint32_t frontend, MailboxOwner owner, Clock::time_point now) {
  const auto found = std::ranges::find(waiting_, owner, &Waiting::owner);
  if (found != waiting_.end()) {
    found->frontends.insert(frontend);
  } else if (waiting_.size() < kMostWaiting) {
    waiting_.push_back({owner, {frontend}, now + kLongestWait});
  } else {
    refuse(frontend, owner, Reason::overload, "too many owners wait for a worker");
  }
}

void WorkerPool::refuse(std::uint32_t frontend, MailboxOwner owner, Reason reason,
                        const std::string& why) {
  RoleProcess* role = find_frontend_(frontend);
  // One that was started since the question has not asked.
  if (role != nullptr && role->ready()) role->tell(WorkerRefused{owner, reason, why});
}

void WorkerPool::introduce(std::uint32_t frontend, MailboxOwner owner, Worker& worker,
                           Clock::time_point now) {
  RoleProcess* asker = find_frontend_(frontend);
  // A frontend that died has lost its transactions; the next one asks for itself.
  if (asker == nullptr) return;
  // It has the other end of a channel that waits for the worker to be ready.
  if (!worker.process->ready() && knows(worker, *asker)) return;
  std::optional<std::pair<UniqueFd, UniqueFd>> pair = make_channel_pair();
  if (!pair) {
    const std::string why = errno_text("a worker's channel", errno);
    log_error("{}", why);
    refuse(frontend, owner, Reason::overload, why);
    return;
  }
  asker->introduce({.kind = static_cast<std::uint8_t>(PeerKind::worker), .owner = owner},
                   std::move(pair->first));
  worker.process->introduce(
      {.kind = static_cast<std::uint8_t>(PeerKind::frontend), .instance = frontend},
      std::move(pair->second));
  worker.frontends[frontend] = asker->pid();
  worker.introduced = now;
  worker.active = now;
}

bool WorkerPool::knows(const Worker& worker, const RoleProcess& frontend) {
  return std::ranges::any_of(worker.frontends, [&frontend](const auto& introduced) {
    return introduced.second == frontend.pid();
  });
}

WorkerPool::Worker* WorkerPool::start(MailboxOwner owner, Clock::time_point now) {
  Result<std::unique_ptr<RoleProcess>> process =
      RoleProcess::launch(*terms_.program, fmt::format("worker {}", text(owner)));
  if (!process) {
    log_error("{}", process.error().text);
    punish(owner, now, now);
    return nullptr;
  }
  (*process)->tell(Configure{.parameters = *terms_.parameters,
                             .owner = owner,
                             .key = derive_worker_key(terms_.ticket_key, owner)});
  if (const Result<void> briefed = terms_.shared_syncs->brief_worker(**process); !briefed) {
    log_warning("worker {} syncs some file systems by itself: {}", text(owner),
                briefed.error().text);
  }
  (*process)->tell(Start{});
  return &workers_
              .emplace(owner,
                       Worker{.process = std::move(*process), .introduced = now, .active = now})
              .first->second;
}

void WorkerPool::serve_waiting(Clock::time_point now) {
  std::size_t need_room = 0;
  for (auto item = waiting_.begin(); item != waiting_.end();) {
    const auto running = workers_.find(item->owner);
    Worker* worker = nullptr;
    const char* refusal = "no worker can be started";
    if (running != workers_.end()) {
      // Its successor starts when it is gone: one process a (uid, gid).
      if (!running->second.process->serves()) {
        ++item;
        continue;
      }
      worker = &running->second;
    } else if (is_punished(item->owner, now)) {
      refusal = kPunished;
    } else if (workers_.size() < terms_.limit) {
      worker = start(item->owner, now);
    } else {
      ++need_room;
      ++item;
      continue;
    }
    for (const std::uint32_t frontend : item->frontends) {
      if (worker == nullptr) {
        refuse(frontend, item->owner, Reason::io, refusal);
      } else {
        introduce(frontend, item->owner, *worker, now);
      }
    }
    item = waiting_.erase(item);
  }
  if (need_room > leaving() && now - observed_ >= kShortestStay) observe(now);
  while (need_room > leaving() && evict_one(now)) {
  }
}

std::size_t WorkerPool::leaving() const {
  // Not one that was killed: it is gone in a moment, or hangs in the kernel for nobody knows how
  // long.
  return static_cast<std::size_t>(std::ranges::count_if(workers_, [](const auto& item) {
    return item.second.process->alive() && item.second.process->stopping();
  }));
}

// A worker that used no CPU since the last look has been idle since its last activity.
void WorkerPool::observe(Clock::time_point now) {
  observed_ = now;
  for (auto& [owner, worker] : workers_) {
    const std::chrono::nanoseconds used = cpu_time(worker.process->pid());
    if (used > worker.cpu_seen) worker.active = now;
    worker.cpu_seen = used;
  }
}

bool WorkerPool::evict_one(Clock::time_point now) {
  Worker* idlest = nullptr;
  for (auto& [owner, worker] : workers_) {
    const bool may_leave = worker.process->serves() && worker.process->ready() &&
                           now - worker.introduced >= kShortestStay;
    if (!may_leave) continue;
    if (idlest == nullptr ||
        std::tie(worker.active, worker.introduced) < std::tie(idlest->active, idlest->introduced)) {
      idlest = &worker;
    }
  }
  if (idlest == nullptr) return false;
  idlest->process->stop();
  idlest->leave_until = now + kLongestLeave;
  return true;
}

void WorkerPool::expel(MailboxOwner owner, const RoleProcess& frontend) {
  const auto found = workers_.find(owner);
  // It may have died, or left, since.
  if (found == workers_.end()) return;
  RoleProcess& worker = *found->second.process;
  if (!knows(found->second, frontend)) {
    log_warning("{} (pid {}): not expelled for {} (pid {}), which it was not introduced to",
                worker.title(), worker.pid(), frontend.title(), frontend.pid());
    return;
  }
  log_error("{} (pid {}): expelled", worker.title(), worker.pid());
  worker.kill();
}

void WorkerPool::stop() {
  stopping_ = true;
  for (const Waiting& item : waiting_) {
    for (const std::uint32_t frontend : item.frontends) {
      refuse(frontend, item.owner, Reason::overload, "the daemon stops");
    }
  }
  waiting_.clear();
  for (auto& [owner, worker] : workers_) worker.process->stop();
}

void WorkerPool::kill() {
  for (auto& [owner, worker] : workers_) worker.process->kill();
}

std::optional<MailboxOwner> WorkerPool::owner_of(const RoleProcess& role) const {
  for (const auto& [owner, worker] : workers_) {
    if (worker.process.get() == &role) return owner;
  }
  return std::nullopt;
}

RoleProcess* WorkerPool::find(MailboxOwner owner, pid_t pid) const {
  const auto found = workers_.find(owner);
  if (found == workers_.end() || found->second.process->pid() != pid) return nullptr;
  return found->second.process.get();
}

void WorkerPool::wait_in(PollSet& set, Clock::time_point now) {
  for (auto& [owner, worker] : workers_) {
    worker.process->wait_in(set, on_frame_);
    if (worker.leave_until && !stopping_) set.add_deadline(*worker.leave_until);
  }
  if (waiting_.empty()) return;
  set.add_deadline(waiting_.front().until);
  // Somebody waits for room that no worker could yet be asked to make.
  if (workers_.size() >= terms_.limit) set.add_deadline(now + kShortestStay);
}

void WorkerPool::reap(Clock::time_point now) {
  for (auto item = workers_.begin(); item != workers_.end();) {
    const RoleProcess& process = *item->second.process;
    const std::optional<int> status = item->second.process->reap();
    if (!status) {
      ++item;
      continue;
    }
    if (!process.stopping()) {
      punish(item->first, process.launched(), now);
      log_warning("{} (pid {}) {}; not started again for {} ms", process.title(), process.pid(),
                  status_text(*status),
                  std::chrono::ceil<milliseconds>(penalties_.at(item->first).until - now).count());
    } else if (*status != 0) {
      log_warning("{} (pid {}) {} as it left", process.title(), process.pid(),
                  status_text(*status));
    }
    item = workers_.erase(item);
  }
}

void WorkerPool::punish(MailboxOwner owner, Clock::time_point launched, Clock::time_point now) {
  Penalty& penalty = penalties_[owner];
  penalty.until = now + penalty.backoff.after_death(now - launched);
}

bool WorkerPool::is_punished(MailboxOwner owner, Clock::time_point now) const {
  const auto found = penalties_.find(owner);
  return found != penalties_.end() && now < found->second.until;
}

void WorkerPool::advance(Clock::time_point now) {
  for (auto& [owner, worker] : workers_) {
    if (worker.leave_until && now >= *worker.leave_until && !stopping_) {
      log_error("{} (pid {}) did not leave: killed", worker.process->title(),
                worker.process->pid());
      worker.leave_until.reset();
      worker.process->kill();
    }
  }
  // A back-off that ended a long life ago starts over anyway.
  std::erase_if(penalties_,
                [&](const auto& item) { return now >= item.second.until + Backoff::kLongLife; });
  while (!waiting_.empty() && now >= waiting_.front().until) {
    for (const std::uint32_t frontend : waiting_.front().frontends) {
      refuse(frontend, waiting_.front().owner, Reason::overload,
             fmt::format("no worker became free within {} s", kLongestWait.count()));
    }
    waiting_.pop_front();
  }
  if (stopping_) return;
  if (workers_.size() >= terms_.limit && now - observed_ >= kObservation) observe(now);
  serve_waiting(now);
}

void WorkerPool::flush() {
  for (auto& [owner, worker] : workers_) worker.process->flush();
}

}  // namespace lmtpd::master
