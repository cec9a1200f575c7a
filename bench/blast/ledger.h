// bench/blast/ledger.h -- what happened, one line `WHAT<TAB>DETAIL` each: an acknowledged delivery
// (for bench/verify) or a message's latency.
//
// A delivery is written only after the 250 was read. flush() hands everything to the kernel, so
// that a reader, or a crash of blast, finds all that was acknowledged up to the last call.
#pragma once

#include <string>
#include <string_view>

#include "bench/blast/expected.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::blast {

class Ledger {
 public:
  Ledger() = default;  // writes nothing
  // Replaces what is at `path`.
  [[nodiscard]] static Expected<Ledger> open(const std::string& path);

  void add(std::string_view what, std::string_view detail);
  [[nodiscard]] Expected<void> flush();

 private:
  UniqueFd fd_;
  std::string path_;
  std::string lines_;
};

}  // namespace lmtpd::blast
