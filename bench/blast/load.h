// bench/blast/load.h -- runs all connections of a load in one thread.
#pragma once

#include <memory>
#include <vector>

#include "bench/blast/link.h"
#include "bench/blast/source.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::blast {

class Load {
 public:
  // Both outlive the load.
  Load(const Options& options, Source& source);

  // Until every message has its replies and every connection its QUIT, or the first failure.
  // The ledger holds what was acknowledged in either case.
  [[nodiscard]] Expected<void> run();
  // Whether the server offered PIPELINING and the options allow it.
  [[nodiscard]] bool pipelining() const;

 private:
  [[nodiscard]] Expected<void> loop();
  [[nodiscard]] Expected<void> tick(Time now);

  const Options& options_;
  Source& source_;
  UniqueFd epoll_;
  std::vector<std::unique_ptr<Link>> links_;
};

}  // namespace lmtpd::blast
