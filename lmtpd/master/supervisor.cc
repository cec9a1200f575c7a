#include "lmtpd/master/supervisor.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "lmtpd/base/log.h"
#include "lmtpd/master/control_socket.h"
#include "lmtpd/master/left_children.h"

namespace lmtpd::master {
namespace {

// Generations that end, each with up to worker_limit processes: beyond, the oldest waits no longer.
constexpr std::size_t kMostOld = 3;

UniqueFd block_signals() {
  sigset_t handled;
  sigemptyset(&handled);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&handled, number);
  ::signal(SIGPIPE, SIG_IGN);
  ::sigprocmask(SIG_BLOCK, &handled, nullptr);
  return UniqueFd(::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
}

}  // namespace

int Supervisor::run(Configuration configuration) {
  signals_ = block_signals();
  if (!signals_) {
    log_error("{}", errno_text("signalfd", errno));
    return EXIT_FAILURE;
  }
  if (StartResult<void> begun = begin(std::move(configuration)); !begun) {
    log_failure(begun.error());
    return begun.error().exit_status;
  }
  while (current_ || next_.generation || !old_.empty()) turn();
  log_info("ended");
  return exit_status_;
}

StartResult<void> Supervisor::begin(Configuration configuration) {
  const Settings& settings = configuration.settings;
  // First: that it is served tells a second lmtpd of this configuration most.
  StartResult<UnixListener> control = prepare_control_socket(settings.control_socket);
  if (!control) return tl::unexpected(std::move(control.error()));
  StartResult<Listeners::Plan> plan = listeners_.prepare(settings, configuration.socket_access);
  if (!plan) return tl::unexpected(std::move(plan.error()));
  StartResult<std::vector<Listeners::Share>> shares = plan->share();
  if (!shares) return tl::unexpected(std::move(shares.error()));

  next_.plan = std::move(*plan);
  next_.generation = std::make_unique<Generation>(
      std::move(configuration), Generation::Sockets{std::move(*shares), std::move(*control)},
      shared_);
  next_.generation->start(Clock::now());
  return {};
}

// ---- reload

void Supervisor::reload() {
  if (stopping_) return;
  // One at a time; the last one to ask is served with the configuration of that moment.
  if (next_.generation) {
    reload_asked_ = true;
    return;
  }
  notifier_.reloading();
  log_info("reloading {}", file_);
  if (StartResult<void> begun = load_and_begin(); !begun) refuse_reload(begun.error());
}

StartResult<void> Supervisor::load_and_begin() {
  StartResult<Configuration> configuration = Configuration::load(file_);
  if (!configuration) return tl::unexpected(std::move(configuration.error()));
  for (const std::string& warning : configuration->warnings) log_warning("{}", warning);
  if (const char* parameter = configuration->needs_restart(current_->configuration())) {
    return configuration_failure(
        fmt::format("{}: {}: changed, which needs a restart", file_, parameter));
  }
  return begin(std::move(*configuration));
}

void Supervisor::refuse_reload(const StartFailure& failure) {
  log_failure(failure);
  log_error("reload refused; the configuration of before stays");
  notifier_.ready("reload refused, see the log");
}

void Supervisor::adopt_if_ready() {
  if (!next_.generation) return;
  std::optional<StartFailure> failure = next_.generation->failure();
  if (!failure && !next_.generation->ready()) return;
  std::unique_ptr<Generation> generation = std::move(next_.generation);
  Listeners::Plan plan = std::exchange(next_.plan, {});
  if (!failure) {
    // In this order: adopting closes sockets of the generation that would stay.
    StartResult<void> published = plan.check_free();
    if (published) published = generation->publish();
    if (published) published = listeners_.adopt(std::move(plan));
    if (!published) failure = published.error();
  }
  if (failure) {
    generation->hurry(Clock::now());
    retire(std::move(generation));
    if (current_) return refuse_reload(*failure);
    log_failure(*failure);
    exit_status_ = failure->exit_status;
    return stop();
  }
  // In this order, and before anybody is told: who asks then is answered by the new one.
  if (current_) {
    current_->retire(Clock::now());
    retire(std::move(current_));
  }
  generation->serve();
  const Settings& settings = generation->configuration().settings;
  log_info("ready: {} frontend(s), {} listener(s), mail below {}", settings.frontend_processes,
           settings.listen.size(), settings.virtual_mailbox_base);
  notifier_.ready("ready");
  current_ = std::move(generation);
}

void Supervisor::retire(std::unique_ptr<Generation> generation) {
  old_.push_back(std::move(generation));
  if (old_.size() > kMostOld) old_.front()->hurry(Clock::now());
}

// ---- end

void Supervisor::stop() {
  const Clock::time_point now = Clock::now();
  if (stopping_) {
    for (const auto& generation : old_) generation->hurry(now);
    return;
  }
  stopping_ = true;
  notifier_.stopping();
  // A client that comes now is refused at once, in place of waiting for nobody.
  next_.plan = {};
  listeners_.close();
  for (std::unique_ptr<Generation>* generation : {&next_.generation, &current_}) {
    if (!*generation) continue;
    (*generation)->stop(now);
    old_.push_back(std::move(*generation));
  }
}

Supervisor::Asked Supervisor::read_signals() {
  Asked asked;
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGHUP) asked.reload = true;
    if (info.ssi_signo != SIGTERM && info.ssi_signo != SIGINT) continue;
    asked.stop = true;
    log_info("stopping: signal {} from pid {}", info.ssi_signo, info.ssi_pid);
  }
  return asked;
}

void Supervisor::turn() {
  Clock::time_point now = Clock::now();
  std::vector<Generation*> generations;
  for (const auto* one : {&current_, &next_.generation}) {
    if (*one) generations.push_back(one->get());
  }
  for (const auto& one : old_) generations.push_back(one.get());

  PollSet set;
  Asked asked;
  set.add(signals_.get(), POLLIN, [&](short) { asked = read_signals(); });
  for (Generation* generation : generations) generation->wait_in(set, now);
  set.wait();

  now = Clock::now();
  // After the signals were read: a child that ends from here on sends another SIGCHLD.
  for (Generation* generation : generations) generation->turn(now);
  reap_left_children();
  if (asked.stop) {
    stop();
  } else if (asked.reload) {
    reload();
  }
  adopt_if_ready();
  std::erase_if(old_, [](const auto& generation) { return generation->ended(); });
  if (reload_asked_ && !next_.generation) {
    reload_asked_ = false;
    reload();
  }
}

}  // namespace lmtpd::master
