// bench/blast/source.h -- hands out the messages of a run and keeps its books.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "bench/blast/dialogue.h"
#include "bench/blast/histogram.h"
#include "bench/blast/ledger.h"
#include "bench/blast/message.h"
#include "bench/blast/options.h"
#include "bench/blast/recipients.h"

namespace lmtpd::blast {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

struct Totals {
  std::uint64_t messages = 0;    // handed out
  std::uint64_t stored = 0;      // recipients answered 250 after the dot
  std::uint64_t tempfailed = 0;  // recipients answered 4xx, anywhere
  std::uint64_t connects = 0;
  Histogram message_latency;   // from taking the message (or its due time) to its last reply
  Histogram delivery_latency;  // from handing the final dot to the kernel to the recipient's reply
  Time begin;
  Time last_outcome;

  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(last_outcome - begin).count();
  }
};

class Source {
 public:
  // `ledger` is of deliveries; of `latencies` each line has when the message was taken, or due, and
  // how long it took, in nanoseconds, the first of CLOCK_MONOTONIC.
  Source(const Options& options, MessageMaker maker, Ledger ledger, Ledger latencies);

  struct Job {
    Message message;
    Time begin;
  };
  struct NotBefore {
    Time due;
  };
  struct Exhausted {};
  // The clock of the run starts at the first call.
  [[nodiscard]] std::variant<Job, NotBefore, Exhausted> take(Time now);

  void stored(const std::string& recipient, const std::string& id);
  void ended(Time begin, Time now);
  [[nodiscard]] Expected<void> flush_ledgers();
  [[nodiscard]] Totals& totals() { return totals_; }
  [[nodiscard]] const Totals& totals() const { return totals_; }

 private:
  const Options& options_;
  MessageMaker maker_;
  Ledger ledger_;
  Ledger latencies_;
  Recipients recipients_;
  Totals totals_;
};

}  // namespace lmtpd::blast
