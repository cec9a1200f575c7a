// bench/floor/inboxes.h -- messages that wait for the thread that will deliver them.
//
// One inbox for each owner, as a worker has its channel. All that waits is taken at once: that is
// what makes groups. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

#include "bench/floor/trial.h"

namespace lmtpd::floor {

class Inboxes {
 public:
  // Holds the messages that are in flight at the start. `trial` outlives it.
  // `shared`: one inbox for all owners.
  explicit Inboxes(Trial& trial, bool shared = false);

  [[nodiscard]] std::size_t count() const { return inboxes_.size(); }

  // All that waits in inbox `index`, waiting for some; empty once nothing is in flight any more.
  [[nodiscard]] Messages take(std::size_t index);
  // Tells the trial, and puts the messages that come next into their inboxes.
  void delivered(const Messages& messages);

 private:
  struct Inbox {
    std::condition_variable some;
    Messages messages;
  };

  void put(MessagePtr message);

  Trial& trial_;
  std::mutex mutex_;  // guards all below
  std::vector<Inbox> inboxes_;
  std::size_t in_flight_ = 0;
};

}  // namespace lmtpd::floor
