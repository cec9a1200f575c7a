// bench/floor/trial.h -- one measurement: a fixed number of messages in flight for some seconds.
//
// A pattern takes as many messages as are in flight at the start, and for each that it has made
// durable asks for the next, as a client does that sends its next message once it has the reply.
// Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "bench/blast/histogram.h"
#include "bench/floor/maildirs.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::floor {

using Clock = std::chrono::steady_clock;

// On its way from tmp/ to new/.
struct Message {
  const Maildir* maildir = nullptr;
  std::string name;
  UniqueFd file;
  Clock::time_point begin;
};
using MessagePtr = std::unique_ptr<Message>;
using Messages = std::vector<MessagePtr>;

class Trial {
 public:
  // `maildirs` outlives the trial; its time begins now.
  Trial(const Maildirs& maildirs, std::size_t in_flight, std::size_t octets,
        std::chrono::nanoseconds duration);

  [[nodiscard]] const Maildirs& maildirs() const { return maildirs_; }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }
  [[nodiscard]] std::string_view octets() const { return octets_; }

  // The next message, to the maildirs in a shuffled order; empty once the time is over.
  [[nodiscard]] MessagePtr next();
  // `message` is durable and proven.
  void delivered(const Message& message);

  // Of a trial that has ended.
  [[nodiscard]] std::uint64_t deliveries() const { return latency_.count(); }
  [[nodiscard]] double seconds() const;
  [[nodiscard]] const blast::Histogram& latency() const { return latency_; }

 private:
  const Maildirs& maildirs_;
  const std::size_t in_flight_;
  const std::string octets_;
  const Clock::time_point begin_;
  const Clock::time_point end_;

  std::mutex mutex_;  // guards all below
  std::vector<std::size_t> order_;
  std::uint64_t taken_ = 0;
  blast::Histogram latency_;
  Clock::time_point last_;
};

}  // namespace lmtpd::floor
