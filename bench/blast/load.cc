#include "bench/blast/load.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace lmtpd::blast {
namespace {

constexpr auto kDeadlineCheck = std::chrono::milliseconds(20);
constexpr int kShortWait = 1;  // ms, while some link waits for time to pass
constexpr int kLongWait = 20;  // ms

}  // namespace

Load::Load(const Options& options, Source& source) : options_(options), source_(source) {}

Expected<void> Load::run() {
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return complain(fmt::format("epoll_create1: {}", std::strerror(errno)));
  for (std::size_t i = 0; i < options_.connections; ++i) {
    links_.push_back(
        std::make_unique<Link>(static_cast<std::uint32_t>(i), epoll_.get(), options_, source_));
  }
  auto outcome = loop();
  auto flushed = source_.flush_ledgers();
  return outcome ? flushed : outcome;
}

bool Load::pipelining() const {
  return std::any_of(links_.begin(), links_.end(), [](const auto& l) { return l->pipelining(); });
}

Expected<void> Load::loop() {
  std::array<epoll_event, 256> events{};
  Time last_tick = Clock::now();
  if (auto done = tick(last_tick); !done) return done;
  while (true) {
    bool finished = true;
    bool wants_tick = false;
    for (const auto& link : links_) {
      finished = finished && link->finished();
      wants_tick = wants_tick || link->wants_tick();
    }
    if (finished) return {};
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(),
                                   wants_tick ? kShortWait : kLongWait);
    if (count < 0 && errno != EINTR) {
      return complain(fmt::format("epoll_wait: {}", std::strerror(errno)));
    }
    const Time now = Clock::now();
    for (int i = 0; i < count; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      auto done = links_[event.data.u32]->on_event(event.events, Clock::now());
      if (!done) return done;
    }
    if (auto done = source_.flush_ledgers(); !done) return done;
    if (wants_tick || now - last_tick > kDeadlineCheck) {
      last_tick = now;
      if (auto done = tick(now); !done) return done;
    }
  }
}

Expected<void> Load::tick(Time now) {
  for (const auto& link : links_) {
    if (auto done = link->work(now); !done) return done;
    if (auto done = link->check_deadline(now); !done) return done;
  }
  return {};
}

}  // namespace lmtpd::blast
