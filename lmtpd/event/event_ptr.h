// lmtpd/event/event_ptr.h -- owners of libevent's handles.
#pragma once

#include <event2/event.h>

#include <chrono>
#include <memory>

namespace lmtpd {

struct EventBaseDeleter {
  void operator()(event_base* base) const { event_base_free(base); }
};
struct EventDeleter {
  void operator()(event* e) const { event_free(e); }
};
using EventBasePtr = std::unique_ptr<event_base, EventBaseDeleter>;
using EventPtr = std::unique_ptr<event, EventDeleter>;

// Never negative: libevent takes a past time-out for an error.
[[nodiscard]] inline timeval to_timeval(std::chrono::nanoseconds span) {
  if (span < std::chrono::nanoseconds::zero()) span = std::chrono::nanoseconds::zero();
  const auto micro = std::chrono::ceil<std::chrono::microseconds>(span).count();
  return {static_cast<time_t>(micro / 1'000'000), static_cast<suseconds_t>(micro % 1'000'000)};
}

}  // namespace lmtpd
