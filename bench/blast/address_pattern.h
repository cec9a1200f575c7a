// bench/blast/address_pattern.h -- a set of addresses written as one pattern.
//
//   u{1-100}@d{1-10}.org      numbers from first to last: 1000 addresses
//   u{001-100}@d.org          padded with zeros to the width of the first
//   {info,sales}@d{1-3}.org   words
//   a\{b@d.org                a literal brace (or backslash)
//
// All combinations, the last braces varying fastest, so that neighbours differ in their domain.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/blast/expected.h"

namespace lmtpd::blast {

class AddressPattern {
 public:
  // Refuses an empty pattern, unbalanced braces, a range that runs backwards, control characters
  // and more than 2^32 combinations; the text says which.
  [[nodiscard]] static Expected<AddressPattern> parse(std::string_view text);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  // `index` is below count().
  [[nodiscard]] std::string at(std::uint64_t index) const;

 private:
  struct Part {
    std::string literal;             // goes before what the braces make
    std::vector<std::string> words;  // not empty: one of these
    std::uint64_t first = 0;         // words empty: first + n, `width` digits at least
    int width = 0;
    std::uint64_t count = 1;
  };

  [[nodiscard]] static Expected<Part> parse_braces(std::string_view inside);

  std::vector<Part> parts_;
  std::string tail_;
  std::uint64_t count_ = 1;
};

}  // namespace lmtpd::blast
