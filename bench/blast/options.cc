#include "bench/blast/options.h"

#include <fmt/format.h>
#include <getopt.h>

#include <array>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

namespace lmtpd::blast {
namespace {

enum Letter : int {
  kDuration = 256,
  kRate,
  kReuse,
  kSeed,
  kLhlo,
  kSmtp,
  kTimeout,
  kPipeline,
  kNoPipeline,
  kAllowTempfail,
  kJson,
  kLedger,
  kLatencies,
  kHelp,
};

constexpr std::uint64_t kMostShuffled = std::uint64_t{1} << 26;  // 256 MiB of indices

const std::array<option, 22> kLong{{
    {"connections", required_argument, nullptr, 'c'},
    {"messages", required_argument, nullptr, 'm'},
    {"size", required_argument, nullptr, 's'},
    {"recipients", required_argument, nullptr, 'r'},
    {"to", required_argument, nullptr, 't'},
    {"users", required_argument, nullptr, 't'},
    {"from", required_argument, nullptr, 'f'},
    {"duration", required_argument, nullptr, kDuration},
    {"rate", required_argument, nullptr, kRate},
    {"reuse", required_argument, nullptr, kReuse},
    {"seed", required_argument, nullptr, kSeed},
    {"lhlo", required_argument, nullptr, kLhlo},
    {"smtp", no_argument, nullptr, kSmtp},
    {"timeout", required_argument, nullptr, kTimeout},
    {"pipeline", no_argument, nullptr, kPipeline},
    {"no-pipeline", no_argument, nullptr, kNoPipeline},
    {"allow-tempfail", no_argument, nullptr, kAllowTempfail},
    {"json", no_argument, nullptr, kJson},
    {"ledger", required_argument, nullptr, kLedger},
    {"latencies", required_argument, nullptr, kLatencies},
    {"help", no_argument, nullptr, kHelp},
    {nullptr, 0, nullptr, 0},
}};

Expected<std::uint64_t> whole(std::string_view name, std::string_view text, std::uint64_t least,
                              std::uint64_t most) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    return complain(
        fmt::format("{}: \"{}\" is not a number from {} to {}", name, text, least, most));
  }
  return value;
}

Expected<double> positive(std::string_view name, std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0) || value > 1e9) {
    return complain(fmt::format("{}: \"{}\" is not a number above 0", name, text));
  }
  return value;
}

std::chrono::nanoseconds seconds(double value) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(value));
}

// An address or name that goes into a command line.
Expected<std::string> plain(std::string_view name, std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return complain(fmt::format("{}: control character", name));
    }
  }
  return std::string(text);
}

template <class T, class U>
Expected<void> put(T& place, Expected<U> value) {
  if (!value) return complain(std::move(value.error()));
  place = static_cast<T>(std::move(*value));
  return {};
}

Expected<void> apply(Options& options, int letter, std::string_view text) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 48;
  switch (letter) {
    case 'c':
      return put(options.connections, whole("--connections", text, 1, 60000));
    case 'm':
      return put(options.messages, whole("--messages", text, 1, kMost));
    case 's':
      return put(options.size, whole("--size", text, 1, std::uint64_t{1} << 30));
    case 'r':
      return put(options.recipients, whole("--recipients", text, 1, 100000));
    case 't': {
      auto pattern = AddressPattern::parse(text);
      if (!pattern) return complain(fmt::format("--to: {}", pattern.error()));
      options.to.push_back(std::move(*pattern));
      return {};
    }
    case 'f':
      return put(options.from, plain("--from", text));
    case kDuration: {
      auto value = positive("--duration", text);
      if (value) options.duration = seconds(*value);
      return value ? Expected<void>() : complain(std::move(value.error()));
    }
    case kRate:
      return put(options.rate, positive("--rate", text));
    case kReuse:
      return put(options.reuse, whole("--reuse", text, 0, kMost));
    case kSeed:
      return put(options.seed, whole("--seed", text, 0, kMost));
    case kLhlo:
      return put(options.lhlo, plain("--lhlo", text));
    case kSmtp:
      options.smtp = true;
      return {};
    case kTimeout: {
      auto value = positive("--timeout", text);
      if (value) options.timeout = seconds(*value);
      return value ? Expected<void>() : complain(std::move(value.error()));
    }
    case kPipeline:
      options.pipeline = true;
      return {};
    case kNoPipeline:
      options.pipeline = false;
      return {};
    case kAllowTempfail:
      options.allow_tempfail = true;
      return {};
    case kJson:
      options.json = true;
      return {};
    case kLedger:
      options.ledger = text;
      return {};
    case kLatencies:
      options.latencies = text;
      return {};
    default:
      return complain("see --help");
  }
}

}  // namespace

std::string usage() {
  return "usage: blast [options] -t PATTERN unix:PATH|inet:HOST:PORT\n"
         "Sends messages over LMTP as fast as the server takes them and checks every reply.\n"
         "  -c, --connections N    at the same time (1)\n"
         "  -m, --messages N       to send (1000, unless --duration is given)\n"
         "      --duration SECONDS start no message after this time\n"
         "      --rate N           messages a second; latencies count from the due time\n"
         "  -s, --size OCTETS      of a message with CRLF line ends (4096)\n"
         "  -r, --recipients N     of each message (1)\n"
         "  -t, --to PATTERN       recipients, as u{1-100}@d{1-10}.org, {a,b}@c.org; may be given "
         "again\n"
         "      --users PATTERN    the same\n"
         "      --seed N           take the recipients in an order shuffled by N, not in theirs\n"
         "  -f, --from ADDRESS     reverse-path (blast@blast.invalid; '' for the null one)\n"
         "      --lhlo NAME        (blast.invalid)\n"
         "      --smtp             speak SMTP, not LMTP: one reply for all recipients of a "
         "message\n"
         "      --reuse N          messages on one connection (0: no limit)\n"
         "      --no-pipeline      one command at a time; else MAIL, RCPT, DATA together if "
         "offered\n"
         "      --timeout SECONDS  for any one reply (60)\n"
         "      --allow-tempfail   count 4xx replies instead of failing at the first\n"
         "      --ledger FILE      write each acknowledged RECIPIENT<TAB>ID, for bench/verify\n"
         "      --latencies FILE   write of each message BEGIN<TAB>LATENCY, ns of CLOCK_MONOTONIC\n"
         "      --json             report as one JSON object\n"
         "Exit status: 0 all was right, 1 a wrong, missing or extra reply (named), 64 usage.\n";
}

Expected<Options> parse_options(int argc, char** argv) {
  Options options;
  opterr = 0;
  while (true) {
    const int letter = ::getopt_long(argc, argv, "+:c:m:s:r:t:u:f:", kLong.data(), nullptr);
    if (letter == -1) break;
    if (letter == kHelp) {
      options.help = true;
      return options;
    }
    if (letter == '?') return complain(fmt::format("unknown option {}", argv[optind - 1]));
    if (letter == ':') return complain(fmt::format("{} wants a value", argv[optind - 1]));
    const auto done = apply(options, letter == 'u' ? 't' : letter, optarg == nullptr ? "" : optarg);
    if (!done) return complain(done.error());
  }
  if (optind + 1 != argc) return complain("one target is wanted: unix:PATH or inet:HOST:PORT");
  auto target = Target::parse(argv[optind]);
  if (!target) return complain(std::move(target.error()));
  options.target = std::move(*target);
  if (options.to.empty()) return complain("--to is wanted");
  std::uint64_t addresses = 0;
  for (const auto& pattern : options.to) addresses += pattern.count();
  if (options.recipients > addresses) {
    return complain(
        fmt::format("--recipients {}: only {} addresses are given", options.recipients, addresses));
  }
  if (options.seed && addresses > kMostShuffled) {
    return complain(fmt::format("--seed: {} addresses are more than {}", addresses, kMostShuffled));
  }
  if (!options.messages && !options.duration) options.messages = 1000;
  return options;
}

}  // namespace lmtpd::blast
