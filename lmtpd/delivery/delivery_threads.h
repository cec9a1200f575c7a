// lmtpd/delivery/delivery_threads.h -- threads that deliver, so that syncs wait beside each other.
//
// The time of a delivery is that of two commits of the file system's journal, or of two shared
// syncs, and one serves all that wait for it: a thread for each message in flight is faster than
// one thread that syncs a group, until there is no CPU left (docs/durability.md). So there are as
// many threads as there ever were jobs at a time, up to a limit; where more wait, a thread takes
// its share of them as a group. A body in a memfd, which may be large, is taken alone.
//
// All methods are for one thread, the owner's.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "lmtpd/base/finished.h"
#include "lmtpd/base/result.h"
#include "lmtpd/delivery/job.h"
#include "maildir/delivery.h"

namespace lmtpd::delivery {

struct Delivered {
  Job job;
  maildir::Outcome outcome;
};

class DeliveryThreads {
 public:
  // `deliverer` outlives it. Of `most` 0, start() delivers all itself before it returns.
  // Fails if there is no descriptor for fd().
  [[nodiscard]] static Result<std::unique_ptr<DeliveryThreads>> open(
      const maildir::Deliverer& deliverer, std::size_t most);

  // Finishes what was started.
  ~DeliveryThreads();
  DeliveryThreads(const DeliveryThreads&) = delete;
  DeliveryThreads& operator=(const DeliveryThreads&) = delete;

  void start(Jobs jobs);
  // By the caller's thread, as the only delivery of all workers.
  [[nodiscard]] Delivered deliver_here(Job job) const;

  // What was finished since the last call, in no order.
  [[nodiscard]] std::list<Delivered> take_finished();
  // Readable while take_finished() has something, and only then.
  [[nodiscard]] int fd() const { return finished_->fd(); }
  // Nothing was started that take_finished() did not give back.
  [[nodiscard]] bool none() const { return under_way_ == 0; }

 private:
  DeliveryThreads(const maildir::Deliverer& deliverer, std::size_t most,
                  std::unique_ptr<Finished<Delivered>> finished)
      : deliverer_(deliverer), most_(most), finished_(std::move(finished)) {}

  void run();
  [[nodiscard]] Jobs take_share();
  [[nodiscard]] std::list<Delivered> deliver(Jobs jobs, bool alone) const;

  const maildir::Deliverer& deliverer_;
  const std::size_t most_;
  const std::unique_ptr<Finished<Delivered>> finished_;
  std::size_t under_way_ = 0;
  std::vector<std::thread> threads_;

  std::mutex mutex_;  // of what follows
  std::condition_variable work_;
  Jobs waiting_;
  std::size_t idle_ = 0;  // threads that wait for work_
  bool ending_ = false;
};

}  // namespace lmtpd::delivery
