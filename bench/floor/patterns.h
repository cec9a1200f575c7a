// bench/floor/patterns.h -- the ways to put messages into maildirs that are compared.
//
// Safe is a pattern that syncs a file's octets before it publishes its name, syncs the name, and
// counts a message only if a journalled operation after that sync succeeded (docs/architecture.md
// says why). The others are controls: what the promise costs.
#pragma once

#include <span>
#include <string_view>

#include "bench/floor/trial.h"

namespace lmtpd::floor {

struct Pattern {
  std::string_view name;
  bool safe;
  std::string_view words;
  void (*run)(Trial& trial);  // until the trial's time is over and nothing is in flight
};

[[nodiscard]] std::span<const Pattern> patterns();
// nullptr: there is none of that name.
[[nodiscard]] const Pattern* find_pattern(std::string_view name);

// A thread for each message in flight.
void run_serial(Trial& trial);
void run_serial_without_directory_sync(Trial& trial);
void run_serial_without_sync(Trial& trial);
// A thread for each owner, which delivers what waits as a group.
void run_group(Trial& trial);
void run_group_syncfs(Trial& trial);
// One thread writes, another syncs the file system for all owners.
void run_committer(Trial& trial);
// A thread for each owner syncs the files, one syncs the names of all.
void run_fsync_committer(Trial& trial);

}  // namespace lmtpd::floor
