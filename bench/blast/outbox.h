// bench/blast/outbox.h -- octets waiting to be written to a non-blocking socket.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

#include "bench/blast/expected.h"

namespace lmtpd::blast {

class Outbox {
 public:
  void append(std::string_view octets);
  // Not copied: must live until it is written or clear() is called.
  void append_shared(std::string_view octets);

  [[nodiscard]] bool empty() const { return segments_.empty(); }
  void clear();

  // Writes what the socket takes now. Fails on any error but a full socket.
  [[nodiscard]] Expected<void> write_to(int fd);

 private:
  struct Segment {
    std::string own;
    std::string_view shared;
    [[nodiscard]] std::string_view octets() const { return shared.empty() ? own : shared; }
  };

  void consume(std::size_t octets);

  std::deque<Segment> segments_;
  std::size_t written_ = 0;  // of the first segment
};

}  // namespace lmtpd::blast
