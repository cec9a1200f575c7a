// bench/blast/message.h -- the messages that blast sends: alike but for an id that finds them
// again.
//
// Exactly `size` octets with CRLF line ends, dots not yet stuffed. The id stands in Message-ID and
// X-Blast-Id and is the first and the last line of the body; X-Blast-Body gives the CRC-32 (zlib's)
// of the lines between, with LF ends. So bench/verify can tell a message that is cut, mixed with
// another, or not unstuffed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bench/blast/expected.h"

namespace lmtpd::blast {

// CRC-32 as zlib's crc32(), over `text` with each CRLF read as LF.
[[nodiscard]] std::uint32_t crc32_of_lines(std::string_view text);

class MessageMaker {
 public:
  // `run` names this run in every id. Refuses a size too small for the header.
  [[nodiscard]] static Expected<MessageMaker> make(std::string run, std::size_t size,
                                                   std::string_view date);

  [[nodiscard]] std::string id(std::uint64_t number) const;

  // What goes over the wire after the 354 is head(id), middle(), tail(id); the tail holds the final
  // dot. middle() is the same for all messages and lives as long as the maker.
  [[nodiscard]] std::string head(std::string_view id) const;
  [[nodiscard]] std::string_view middle() const { return stuffed_; }
  [[nodiscard]] static std::string tail(std::string_view id);

 private:
  MessageMaker() = default;

  std::string run_;
  std::string date_;
  std::string stuffed_;
  std::uint32_t crc_ = 0;
};

}  // namespace lmtpd::blast
