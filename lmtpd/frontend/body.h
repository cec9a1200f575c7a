// lmtpd/frontend/body.h -- the octets of one message on their way from a client to the workers.
//
// Up to kInlineBody they are held in a string, which crosses a channel inside the message; beyond
// that in a memfd, which is sealed and crosses as a descriptor. Never on disk.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lmtpd/base/result.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::frontend {

class Body {
 public:
  // Fails with no_space: no memory or no descriptor.
  [[nodiscard]] Result<void> append(std::string_view octets);
  // No octet is added after it. Fails with io where the kernel refuses the seals.
  [[nodiscard]] Result<void> seal();

  [[nodiscard]] std::uint64_t size() const { return size_; }
  // The octets, where they are inline; else empty.
  [[nodiscard]] std::string_view inline_octets() const { return inline_; }
  // A descriptor more of the sealed memfd, or none where the body is inline or the descriptor
  // limit is reached (is_inline() tells which).
  [[nodiscard]] UniqueFd duplicate_file() const;
  [[nodiscard]] bool is_inline() const { return !file_; }

 private:
  [[nodiscard]] Result<void> write_file(std::string_view octets);

  std::string inline_;
  UniqueFd file_;
  std::uint64_t size_ = 0;
};

}  // namespace lmtpd::frontend
