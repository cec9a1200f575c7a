// bench/blast/options.h -- blast's command line.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/blast/address_pattern.h"
#include "bench/blast/expected.h"
#include "bench/blast/target.h"

namespace lmtpd::blast {

struct Options {
  Target target;
  std::size_t connections = 1;
  std::optional<std::uint64_t> messages;
  std::optional<std::chrono::nanoseconds> duration;  // no message is started after it
  std::optional<double> rate;                        // messages a second
  std::size_t size = 4096;                           // octets of a message, CRLF line ends
  std::size_t recipients = 1;                        // of each message
  std::uint64_t reuse = 0;                           // messages of a connection; 0: no limit
  std::vector<AddressPattern> to;
  std::optional<std::uint64_t> seed;  // shuffle the addresses
  std::string from = "blast@blast.invalid";
  std::string lhlo = "blast.invalid";
  bool smtp = false;
  std::chrono::nanoseconds timeout = std::chrono::seconds(60);  // for any one reply
  bool pipeline = true;
  bool allow_tempfail = false;
  bool json = false;
  std::string ledger;  // a file's name, as the next
  std::string latencies;
  bool help = false;  // nothing else counts
};

inline constexpr int kUsageError = 64;  // EX_USAGE

[[nodiscard]] std::string usage();

[[nodiscard]] Expected<Options> parse_options(int argc, char** argv);

}  // namespace lmtpd::blast
