// lmtpd/base/finished.h -- what threads have finished, on its way to the event loop that waits for
// it.
//
// add() is for any thread, the rest for the loop's. Knows neither the loop, which may be poll(2)'s
// or libevent's, nor the threads.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <utility>

#include "lmtpd/base/log.h"
#include "lmtpd/base/result.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd {

template <class T>
class Finished {
 public:
  // Fails with no_space: there is no descriptor for fd().
  [[nodiscard]] static Result<std::unique_ptr<Finished>> open() {
    UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event) return fail(Reason::no_space, errno_text("eventfd", errno));
    return std::unique_ptr<Finished>(new Finished(std::move(event)));
  }
  Finished(const Finished&) = delete;
  Finished& operator=(const Finished&) = delete;

  void add(std::list<T> items) {
    // The event changes with the list, or it could stay readable with nothing to take.
    const std::lock_guard lock(mutex_);
    const bool was_empty = items_.empty();
    items_.splice(items_.end(), items);
    // One wake-up for all that is taken together.
    if (!was_empty || items_.empty()) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
  }

  // All that was added since the last call, in that order.
  [[nodiscard]] std::list<T> take() {
    const std::lock_guard lock(mutex_);
    if (items_.empty()) return {};
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof count);
    return std::exchange(items_, {});
  }

  // Readable while take() has something, and only then.
  [[nodiscard]] int fd() const { return event_.get(); }

 private:
  explicit Finished(UniqueFd event) : event_(std::move(event)) {}

  UniqueFd event_;
  std::mutex mutex_;
  std::list<T> items_;
};

}  // namespace lmtpd
