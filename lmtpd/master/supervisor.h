// lmtpd/master/supervisor.h -- master's loop: signals, and the generations that come and go.
//
// SIGTERM and SIGINT end in order, a second one at once; SIGHUP reads the configuration again and
// starts a new generation beside the running one, which goes on if the new one cannot.
// Single-threaded; the signals are blocked and read from a signalfd.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lmtpd/master/generation.h"
#include "lmtpd/master/listeners.h"
#include "lmtpd/master/poll_set.h"
#include "lmtpd/master/service_notifier.h"
#include "lmtpd/master/start_failure.h"

namespace lmtpd::master {

class Supervisor {
 public:
  // `file` is the configuration's absolute path.
  Supervisor(std::string file, Generation::Shared shared, Listeners listeners,
             ServiceNotifier notifier)
      : file_(std::move(file)),
        shared_(std::move(shared)),
        listeners_(std::move(listeners)),
        notifier_(std::move(notifier)) {}

  // Runs until it is told to stop; the exit status.
  [[nodiscard]] int run(Configuration configuration);

 private:
  struct Asked {
    bool stop = false;
    bool reload = false;
  };
  struct Starting {
    std::unique_ptr<Generation> generation;
    Listeners::Plan plan;
  };

  [[nodiscard]] StartResult<void> begin(Configuration configuration);
  void reload();
  [[nodiscard]] StartResult<void> load_and_begin();
  void refuse_reload(const StartFailure& failure);
  void adopt_if_ready();
  void retire(std::unique_ptr<Generation> generation);
  void stop();
  [[nodiscard]] Asked read_signals();
  void turn();

  std::string file_;
  Generation::Shared shared_;
  Listeners listeners_;
  ServiceNotifier notifier_;
  UniqueFd signals_;

  std::unique_ptr<Generation> current_;           // the one that serves
  Starting next_;                                 // the one that starts, or none
  std::vector<std::unique_ptr<Generation>> old_;  // those that end, oldest first
  bool reload_asked_ = false;
  bool stopping_ = false;
  int exit_status_ = 0;
};

}  // namespace lmtpd::master
