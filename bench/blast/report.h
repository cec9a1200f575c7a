// bench/blast/report.h -- the figures of a run, for a person or as JSON.
#pragma once

#include <string>

#include "bench/blast/options.h"
#include "bench/blast/source.h"

namespace lmtpd::blast {

struct Report {
  const Options& options;
  const Totals& totals;
  std::string run;
  bool pipelining = false;
  std::string failure;  // empty: all was right

  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string json() const;
};

}  // namespace lmtpd::blast
