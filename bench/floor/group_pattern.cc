// A thread for each owner, which takes all that waits for it as one group: what a worker does by
// itself. The proof is the unlink in tmp/.

#include <unistd.h>

#include <thread>
#include <vector>

#include "bench/floor/inboxes.h"
#include "bench/floor/must.h"
#include "bench/floor/patterns.h"
#include "bench/floor/steps.h"

namespace lmtpd::floor {
namespace {

using SyncNames = void (*)(const Trial& trial, const Messages& group);

void deliver(const Trial& trial, const Messages& group, SyncNames sync_names) {
  for (const auto& message : group) {
    write_to_tmp(*message, trial);
    start_write_out(*message);
  }
  for (const auto& message : group) sync_file(*message);
  for (const auto& message : group) link_to_new(*message);
  sync_names(trial, group);
  for (const auto& message : group) unlink_from_tmp(*message);
}

void run_owners(Trial& trial, SyncNames sync_names) {
  Inboxes inboxes(trial);
  std::vector<std::jthread> threads;
  for (std::size_t owner = 0; owner < inboxes.count(); ++owner) {
    threads.emplace_back([&trial, &inboxes, owner, sync_names] {
      for (auto group = inboxes.take(owner); !group.empty(); group = inboxes.take(owner)) {
        deliver(trial, group, sync_names);
        inboxes.delivered(group);
      }
    });
  }
}

}  // namespace

void run_group(Trial& trial) {
  run_owners(trial, [](const Trial&, const Messages& group) { sync_each_new(group); });
}

void run_group_syncfs(Trial& trial) {
  run_owners(trial, [](const Trial& all, const Messages&) {
    must(::syncfs(all.maildirs().base()), "syncfs");
  });
}

}  // namespace lmtpd::floor
