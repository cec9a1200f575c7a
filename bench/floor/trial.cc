#include "bench/floor/trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace lmtpd::floor {

Trial::Trial(const Maildirs& maildirs, std::size_t in_flight, std::size_t octets,
             std::chrono::nanoseconds duration)
    : maildirs_(maildirs),
      in_flight_(in_flight),
      octets_(octets, 'x'),
      begin_(Clock::now()),
      end_(begin_ + duration),
      order_(maildirs.count()),
      last_(begin_) {
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::shuffle(order_.begin(), order_.end(), std::mt19937_64(1));
}

MessagePtr Trial::next() {
  const auto now = Clock::now();
  if (now >= end_) return nullptr;
  auto message = std::make_unique<Message>();
  message->begin = now;
  const std::lock_guard lock(mutex_);
  message->maildir = &maildirs_.at(order_[taken_ % order_.size()]);
  // As long as a real name (maildir/unique_name.h).
  message->name = fmt::format("1700000000.M000000P1Q{}.mx.example,S=4450,W=4540", taken_);
  ++taken_;
  return message;
}

void Trial::delivered(const Message& message) {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  latency_.record(static_cast<std::uint64_t>((now - message.begin).count()));
  last_ = std::max(last_, now);
}

double Trial::seconds() const { return std::chrono::duration<double>(last_ - begin_).count(); }

}  // namespace lmtpd::floor
