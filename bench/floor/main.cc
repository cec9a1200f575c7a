// bench/floor -- the bare loops that put messages into maildirs, without a daemon: what the file
// system allows. See bench/README.md.

#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>

#include "bench/floor/maildirs.h"
#include "bench/floor/patterns.h"
#include "bench/floor/trial.h"

namespace lmtpd::floor {
namespace {

constexpr int kUsageError = 64;  // EX_USAGE

struct Options {
  std::string directory;
  std::string pattern;
  std::size_t in_flight = 1;
  std::size_t owners = 10;
  std::size_t maildirs = 1000;
  std::size_t octets = 4096;
  double seconds = 5;
  bool json = false;
  bool list = false;
};

double microseconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
}

double cpu_microseconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
}

// Three for each message in flight, two for each maildir.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

int list_patterns(bool json) {
  for (const auto& pattern : patterns()) {
    if (json) {
      fmt::print("{{\"pattern\": \"{}\", \"safe\": {}}}\n", pattern.name, pattern.safe);
    } else {
      fmt::print("{:26}{}{}\n", pattern.name, pattern.safe ? "" : "UNSAFE: ", pattern.words);
    }
  }
  return 0;
}

void print_report(const Options& options, const Pattern& pattern, const Trial& trial, double cpu) {
  const auto deliveries = static_cast<double>(std::max<std::uint64_t>(trial.deliveries(), 1));
  const double rate = static_cast<double>(trial.deliveries()) / trial.seconds();
  const auto milliseconds = [&](double percent) {
    return static_cast<double>(trial.latency().percentile(percent)) / 1e6;
  };
  if (options.json) {
    fmt::print(
        "{{\"pattern\": \"{}\", \"safe\": {}, \"in_flight\": {}, \"uids\": {}, \"maildirs\": {}, "
        "\"size\": {}, \"deliveries\": {}, \"seconds\": {:.6f}, \"deliveries_per_second\": {:.2f}, "
        "\"cpu_us_per_delivery\": {:.2f}, \"latency_ms\": {{\"p50\": {:.4f}, \"p99\": {:.4f}}}}}\n",
        pattern.name, pattern.safe, options.in_flight, options.owners, options.maildirs,
        options.octets, trial.deliveries(), trial.seconds(), rate, cpu / deliveries,
        milliseconds(50), milliseconds(99));
    return;
  }
  fmt::print(
      "{}{}, {} in flight, {} uids, {} maildirs, {} octets: {:.1f} deliveries/s, {:.1f} µs CPU a "
      "delivery, p50 {:.3f} ms, p99 {:.3f} ms\n",
      pattern.name, pattern.safe ? "" : " (UNSAFE)", options.in_flight, options.owners,
      options.maildirs, options.octets, rate, cpu / deliveries, milliseconds(50), milliseconds(99));
}

int measure(const Options& options, const Pattern& pattern) {
  raise_descriptor_limit();
  const Maildirs maildirs(options.directory, options.maildirs, options.owners);
  const double before = cpu_microseconds();
  Trial trial(maildirs, options.in_flight, options.octets,
              std::chrono::duration_cast<std::chrono::nanoseconds>(
                  std::chrono::duration<double>(options.seconds)));
  pattern.run(trial);
  const double cpu = cpu_microseconds() - before;
  if (const auto stored = maildirs.stored(); stored != trial.deliveries()) {
    fmt::print(stderr, "floor: {} deliveries, but {} files in new/\n", trial.deliveries(), stored);
    return 1;
  }
  print_report(options, pattern, trial, cpu);
  return 0;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Puts messages into maildirs as fast as the file system allows, and says how fast.");
  app.add_option("directory", options.directory, "empty, on a freshly made file system");
  app.add_option("--pattern", options.pattern, "as --list names them");
  app.add_option("--in-flight", options.in_flight, "messages at the same time (1)")
      ->check(CLI::Range(1, 10000));
  app.add_option("--uids", options.owners, "owners among whom the maildirs are (10)")
      ->check(CLI::Range(1, 10000));
  app.add_option("--maildirs", options.maildirs, "made beforehand (1000)")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--size", options.octets, "octets of a message (4096)")
      ->check(CLI::Range(1, 1 << 26));
  app.add_option("--seconds", options.seconds, "no message is begun after this time (5)")
      ->check(CLI::PositiveNumber);
  app.add_flag("--json", options.json, "the figures as one JSON object");
  app.add_flag("--list", options.list, "say which patterns there are");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageError;
  }
  if (options.list) return list_patterns(options.json);
  const Pattern* pattern = find_pattern(options.pattern);
  if (pattern == nullptr || options.directory.empty() || options.owners > options.maildirs) {
    fmt::print(stderr,
               "floor: wants a directory, a --pattern of --list, and no more uids than maildirs\n");
    return kUsageError;
  }
  return measure(options, *pattern);
}

}  // namespace
}  // namespace lmtpd::floor

int main(int argc, char** argv) {
  try {
    return lmtpd::floor::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "floor: %s\n", error.what());
    return 1;
  }
}
