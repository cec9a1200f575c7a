#include "bench/blast/source.h"

#include <utility>

namespace lmtpd::blast {

Source::Source(const Options& options, MessageMaker maker, Ledger ledger)
    : options_(options),
      maker_(std::move(maker)),
      ledger_(std::move(ledger)),
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

}  // namespace lmtpd::blast
