// lookup/auth/password_threads.h -- threads that compute hashes, so that the event loop need not.
//
// As many as there are processors, started at the first use; a queue of kMostWaiting behind them.
// All methods are for one thread, the owner's.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lmtpd/base/finished.h"
#include "lmtpd/base/result.h"
#include "lookup/auth/stored_password.h"

namespace lmtpd::lookup {

class PasswordThreads {
 public:
  static constexpr std::size_t kMostWaiting = 64;
  using Check = std::function<bool(const StoredPassword&, std::string_view password)>;

  struct Checked {
    std::uint64_t id;
    bool matches;
  };

  // `check` is called by several threads at a time. Fails if there is no descriptor for fd().
  [[nodiscard]] static Result<std::unique_ptr<PasswordThreads>> open(Check check);
  // Waits for the hashes that are being computed.
  ~PasswordThreads();
  PasswordThreads(const PasswordThreads&) = delete;
  PasswordThreads& operator=(const PasswordThreads&) = delete;

  // False: too many wait, or there is no thread to be had; nothing was started.
  [[nodiscard]] bool start(std::uint64_t id, StoredPassword stored, std::string password);
  // What was finished since the last call.
  [[nodiscard]] std::list<Checked> take_finished() { return finished_->take(); }
  // Readable while take_finished() has something.
  [[nodiscard]] int fd() const { return finished_->fd(); }

 private:
  struct Job {
    std::uint64_t id;
    StoredPassword stored;
    std::string password;
  };

  PasswordThreads(Check check, std::unique_ptr<Finished<Checked>> finished)
      : check_(std::move(check)), finished_(std::move(finished)) {}
  void run();

  const Check check_;
  const std::unique_ptr<Finished<Checked>> finished_;
  std::vector<std::thread> threads_;

  std::mutex mutex_;  // of what follows
  std::condition_variable work_;
  std::deque<Job> waiting_;
  std::size_t idle_ = 0;
  bool ending_ = false;
};

}  // namespace lmtpd::lookup
