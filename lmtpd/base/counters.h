// lmtpd/base/counters.h -- the numbers behind lmtpd/base/counter.h, in memory that processes share.
//
// Master makes one page when it starts. Every frontend, of every generation, adds to it; lookup
// reads it for `lmtpctl status`. So counting costs no message, a frontend's death loses nothing,
// and while master lives a number only grows. Whoever takes a frontend over can make every number
// wrong, and nothing else: the page holds numbers only, and its size is sealed, so that no reader
// faults at what is gone. Additions are relaxed: each number is right, two need not be of one
// moment.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "lmtpd/base/counter.h"
#include "lmtpd/base/result.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd {

// A memfd with all numbers 0, of its maker's user, who alone can open it anew. Fails with io.
[[nodiscard]] Result<UniqueFd> make_counter_page();

class Counters {
 public:
  enum class Access : std::uint8_t {
    add,   // the descriptor is open for reading and writing
    read,  // add() faults
  };

  // `page` is as make_counter_page() made it, in this build; it is not needed afterwards. Fails
  // with io.
  [[nodiscard]] static Result<Counters> map(const UniqueFd& page, Access access);

  void add(Counter counter, std::uint64_t times = 1);
  [[nodiscard]] std::uint64_t value(Counter counter) const;

 private:
  using Page = std::array<std::uint64_t, kCounterNames.size()>;
  struct Unmap {
    void operator()(Page* page) const;
  };

  explicit Counters(Page* page) : page_(page) {}

  std::unique_ptr<Page, Unmap> page_;
};

}  // namespace lmtpd
