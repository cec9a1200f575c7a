#include "lmtpd/delivery/delivery_threads.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <system_error>
#include <utility>

#include "lmtpd/base/log.h"

namespace lmtpd::delivery {

Result<std::unique_ptr<DeliveryThreads>> DeliveryThreads::open(const maildir::Deliverer& deliverer,
                                                               std::size_t most) {
  auto finished = Finished<Delivered>::open();
  if (!finished) return tl::unexpected(std::move(finished.error()));
  return std::unique_ptr<DeliveryThreads>(
      new DeliveryThreads(deliverer, most, std::move(*finished)));
}

DeliveryThreads::~DeliveryThreads() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void DeliveryThreads::start(Jobs jobs) {
  if (jobs.empty()) return;
  under_way_ += jobs.size();
  std::size_t woken = jobs.size();
  std::size_t wanted = 0;
  {
    const std::lock_guard lock(mutex_);
    waiting_.splice(waiting_.end(), jobs);
    woken = std::min(woken, idle_);
    wanted = waiting_.size() > idle_ ? waiting_.size() - idle_ : 0;
  }
  for (; wanted > 0 && threads_.size() < most_; --wanted) {
    try {
      threads_.emplace_back([this] { run(); });
    } catch (const std::system_error& error) {
      // Those that are there do it, in larger groups.
      log_warning("no further thread for deliveries: {}", error.what());
      break;
    }
  }
  if (threads_.empty()) {
    const std::lock_guard lock(mutex_);
    jobs.swap(waiting_);
  }
  if (!jobs.empty()) return finished_->add(deliver(std::move(jobs), false));
  for (; woken > 0; --woken) work_.notify_one();
}

Delivered DeliveryThreads::deliver_here(Job job) const {
  Jobs jobs;
  jobs.push_back(std::move(job));
  return std::move(deliver(std::move(jobs), true).front());
}

std::list<Delivered> DeliveryThreads::take_finished() {
  if (none()) return {};
  std::list<Delivered> taken = finished_->take();
  under_way_ -= taken.size();
  return taken;
}

void DeliveryThreads::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    work_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    --idle_;
    if (waiting_.empty()) return;
    Jobs share = take_share();
    lock.unlock();
    finished_->add(deliver(std::move(share), false));
    lock.lock();
  }
}

// With the mutex held, and not of nothing.
Jobs DeliveryThreads::take_share() {
  const std::size_t size = (waiting_.size() + most_ - 1) / most_;
  auto end = std::next(waiting_.begin());
  if (!waiting_.front().body_fd) {
    for (std::size_t taken = 1; taken < size && !end->body_fd; ++taken) ++end;
  }
  Jobs share;
  share.splice(share.end(), waiting_, waiting_.begin(), end);
  return share;
}

std::list<Delivered> DeliveryThreads::deliver(Jobs jobs, bool alone) const {
  std::vector<maildir::Delivery> group;
  group.reserve(jobs.size());
  for (const Job& job : jobs) {
    group.push_back({.path = &job.path,
                     .headers = job.headers,
                     .body = job.body,
                     .body_fd = job.body_fd.get(),
                     .body_size = job.body_size,
                     .wire_size = job.wire_size});
  }
  std::vector<maildir::Outcome> outcomes = deliverer_.deliver(group, alone);
  std::list<Delivered> delivered;
  auto outcome = outcomes.begin();
  for (Job& job : jobs) delivered.push_back({std::move(job), std::move(*outcome++)});
  return delivered;
}

}  // namespace lmtpd::delivery
