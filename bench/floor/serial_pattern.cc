// A thread for each message in flight: what a process for each connection comes to, with no work
// between.

#include <thread>
#include <vector>

#include "bench/floor/patterns.h"
#include "bench/floor/steps.h"

namespace lmtpd::floor {
namespace {

void run_threads(Trial& trial, void (*deliver)(Message& message)) {
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < trial.in_flight(); ++i) {
    threads.emplace_back([&trial, deliver] {
      while (const auto message = trial.next()) {
        write_to_tmp(*message, trial);
        deliver(*message);
        trial.delivered(*message);
      }
    });
  }
}

}  // namespace

void run_serial(Trial& trial) {
  run_threads(trial, [](Message& message) {
    sync_file(message);
    link_to_new(message);
    sync_new(message);
    unlink_from_tmp(message);
  });
}

void run_serial_without_directory_sync(Trial& trial) {
  run_threads(trial, [](Message& message) {
    sync_file(message);
    rename_to_new(message);
  });
}

void run_serial_without_sync(Trial& trial) {
  run_threads(trial, [](Message& message) { rename_to_new(message); });
}

}  // namespace lmtpd::floor
