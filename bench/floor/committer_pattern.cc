// One syncfs(2) after the other, each serving all that was written and all that was renamed before
// it began, whoever owns it; the next messages are written meanwhile. The proof is a canary's
// rename after the sync.

#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "bench/floor/canary.h"
#include "bench/floor/inboxes.h"
#include "bench/floor/must.h"
#include "bench/floor/patterns.h"
#include "bench/floor/steps.h"

namespace lmtpd::floor {
namespace {

// What the writers have done for the next sync.
class Reports {
 public:
  explicit Reports(std::size_t writers) : writers_(writers) {}

  void add(Messages messages) {
    const std::lock_guard lock(mutex_);
    for (auto& message : messages) messages_.push_back(std::move(message));
    some_.notify_one();
  }
  void writer_ends() {
    const std::lock_guard lock(mutex_);
    --writers_;
    some_.notify_one();
  }
  // Waits for some if `wait`, and for the last writer's end.
  Messages take(bool wait) {
    std::unique_lock lock(mutex_);
    if (wait) some_.wait(lock, [this] { return !messages_.empty() || writers_ == 0; });
    return std::exchange(messages_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable some_;
  std::size_t writers_;
  Messages messages_;
};

void sync_all(const Trial& trial) { must(::syncfs(trial.maildirs().base()), "syncfs"); }

}  // namespace

void run_committer(Trial& trial) {
  Inboxes inboxes(trial, /*shared=*/true);
  Reports prepared(1);
  const std::jthread writer([&] {
    for (auto group = inboxes.take(0); !group.empty(); group = inboxes.take(0)) {
      for (const auto& message : group) write_to_tmp(*message, trial);
      prepared.add(std::move(group));
    }
    prepared.writer_ends();
  });
  Canary canary(trial.maildirs().base());
  Messages published;
  while (true) {
    auto group = prepared.take(/*wait=*/published.empty());
    if (group.empty() && published.empty()) break;
    sync_all(trial);
    if (!published.empty()) canary.prove();
    for (const auto& message : group) rename_to_new(*message);
    inboxes.delivered(std::exchange(published, std::move(group)));
  }
}

void run_fsync_committer(Trial& trial) {
  Inboxes inboxes(trial);
  Reports published(inboxes.count());
  std::vector<std::jthread> workers;
  for (std::size_t owner = 0; owner < inboxes.count(); ++owner) {
    workers.emplace_back([&, owner] {
      for (auto group = inboxes.take(owner); !group.empty(); group = inboxes.take(owner)) {
        for (const auto& message : group) {
          write_to_tmp(*message, trial);
          start_write_out(*message);
        }
        for (const auto& message : group) sync_file(*message);
        for (const auto& message : group) rename_to_new(*message);
        published.add(std::move(group));
      }
      published.writer_ends();
    });
  }
  Canary canary(trial.maildirs().base());
  for (auto group = published.take(true); !group.empty(); group = published.take(true)) {
    sync_all(trial);
    canary.prove();
    inboxes.delivered(group);
  }
}

}  // namespace lmtpd::floor
