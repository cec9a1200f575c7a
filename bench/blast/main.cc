// bench/blast -- an LMTP load generator that checks every reply. See bench/README.md.

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <exception>
#include <string>
#include <utility>

#include "bench/blast/load.h"
#include "bench/blast/message.h"
#include "bench/blast/options.h"
#include "bench/blast/report.h"
#include "bench/blast/source.h"

namespace lmtpd::blast {
namespace {

// A descriptor for each connection, as far as the hard limit allows.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

std::string new_run_name() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return fmt::format("b{:010x}{:05x}{:06x}", now.tv_sec, now.tv_nsec / 1000, ::getpid());
}

std::string mail_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::string date(40, '\0');
  date.resize(std::strftime(date.data(), date.size(), "%a, %d %b %Y %H:%M:%S +0000", &parts));
  return date;
}

int fail_usage(const std::string& text) {
  fmt::print(stderr, "blast: {}\n", text);
  return kUsageError;
}

int run(int argc, char** argv) {
  auto options = parse_options(argc, argv);
  if (!options) return fail_usage(options.error());
  if (options->help) {
    fmt::print("{}", usage());
    return 0;
  }
  const std::string name = new_run_name();
  auto maker = MessageMaker::make(name, options->size, mail_date());
  if (!maker) return fail_usage(maker.error());
  Ledger ledger;
  Ledger latencies;
  for (const auto& [path, opened] :
       {std::pair(&options->ledger, &ledger), std::pair(&options->latencies, &latencies)}) {
    if (path->empty()) continue;
    auto made = Ledger::open(*path);
    if (!made) return fail_usage(made.error());
    *opened = std::move(*made);
  }
  raise_descriptor_limit();
  Source source(*options, std::move(*maker), std::move(ledger), std::move(latencies));
  Load load(*options, source);
  const auto outcome = load.run();
  const Report report{.options = *options,
                      .totals = source.totals(),
                      .run = name,
                      .pipelining = load.pipelining(),
                      .failure = outcome ? std::string() : outcome.error()};
  fmt::print("{}", options->json ? report.json() : report.text());
  if (outcome) return 0;
  std::fflush(stdout);
  fmt::print(stderr, "blast: {}\n", outcome.error());
  return 1;
}

}  // namespace
}  // namespace lmtpd::blast

int main(int argc, char** argv) {
  try {
    return lmtpd::blast::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "blast: %s\n", error.what());
    return 1;
  }
}
