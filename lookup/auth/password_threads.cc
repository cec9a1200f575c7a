#include "lookup/auth/password_threads.h"

#include <string.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "lmtpd/base/log.h"

namespace lmtpd::lookup {
namespace {

std::size_t most_threads() { return std::max(1U, std::thread::hardware_concurrency()); }

}  // namespace

Result<std::unique_ptr<PasswordThreads>> PasswordThreads::open(Check check) {
  auto finished = Finished<Checked>::open();
  if (!finished) return tl::unexpected(std::move(finished.error()));
  return std::unique_ptr<PasswordThreads>(
      new PasswordThreads(std::move(check), std::move(*finished)));
}

PasswordThreads::~PasswordThreads() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    waiting_.clear();
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool PasswordThreads::start(std::uint64_t id, StoredPassword stored, std::string password) {
  bool is_thread_wanted = false;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= kMostWaiting) return false;
    is_thread_wanted = waiting_.size() >= idle_ && threads_.size() < most_threads();
  }
  if (is_thread_wanted) {
    try {
      threads_.emplace_back([this] { run(); });
    } catch (const std::system_error& error) {
      log_warning("no further thread for passwords: {}", error.what());
      if (threads_.empty()) return false;
    }
  }
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({id, std::move(stored), std::move(password)});
  }
  work_.notify_one();
  return true;
}

void PasswordThreads::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    work_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    --idle_;
    if (waiting_.empty()) return;
    Job job = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    const bool matches = check_(job.stored, job.password);
    ::explicit_bzero(job.password.data(), job.password.size());
    finished_->add({{job.id, matches}});
    lock.lock();
  }
}

}  // namespace lmtpd::lookup
