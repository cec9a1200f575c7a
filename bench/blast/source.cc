#include "bench/blast/source.h"

#include <fmt/format.h>

#include <utility>

namespace lmtpd::blast {

Source::Source(const Options& options, MessageMaker maker, Ledger ledger, Ledger latencies)
    : options_(options),
      maker_(std::move(maker)),
      ledger_(std::move(ledger)),
      latencies_(std::move(latencies)),
      recipients_(options.to, options.seed) {}

std::variant<Source::Job, Source::NotBefore, Source::Exhausted> Source::take(Time now) {
  if (totals_.messages == 0) totals_.begin = totals_.last_outcome = now;
  if (options_.messages && totals_.messages >= *options_.messages) return Exhausted{};
  if (options_.duration && now >= totals_.begin + *options_.duration) return Exhausted{};
  if (options_.rate) {
    const std::chrono::duration<double> offset(static_cast<double>(totals_.messages) /
                                               *options_.rate);
    const Time due = totals_.begin + std::chrono::duration_cast<Clock::duration>(offset);
    if (now < due) return NotBefore{due};
    now = due;
  }
  Job job{.message = {}, .begin = now};
  job.message.from = options_.from;
  job.message.recipients = recipients_.take(options_.recipients);
  job.message.id = maker_.id(totals_.messages++);
  job.message.head = maker_.head(job.message.id);
  job.message.middle = maker_.middle();
  job.message.tail = MessageMaker::tail(job.message.id);
  return job;
}

void Source::stored(const std::string& recipient, const std::string& id) {
  ++totals_.stored;
  ledger_.add(recipient, id);
}

void Source::ended(Time begin, Time now) {
  const auto nanoseconds = [](Clock::duration time) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
  };
  const auto latency = nanoseconds(now - begin);
  totals_.message_latency.record(static_cast<std::uint64_t>(latency));
  latencies_.add(fmt::to_string(nanoseconds(begin.time_since_epoch())), fmt::to_string(latency));
}

Expected<void> Source::flush_ledgers() {
  if (auto flushed = ledger_.flush(); !flushed) return flushed;
  return latencies_.flush();
}

}  // namespace lmtpd::blast
