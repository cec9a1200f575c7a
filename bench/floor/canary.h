// bench/floor/canary.h -- the journalled operation after a sync that proves it.
#pragma once

namespace lmtpd::floor {

class Canary {
 public:
  // Makes a file in the directory `base`, which outlives it.
  explicit Canary(int base);
  // Renames it.
  void prove();

 private:
  int base_;
  bool renamed_ = false;
};

}  // namespace lmtpd::floor
