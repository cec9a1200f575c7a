// lmtpd/base/config/complaints.h -- errors of a configuration, collected so that all are told at
// once.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "lmtpd/base/result.h"

namespace lmtpd {

class Complaints {
 public:
  // `where` is "FILE:LINE" or "FILE: parameter" as far as it is known.
  void add(std::string_view where, std::string_view what) {
    if (!text_.empty()) text_ += '\n';
    fmt::format_to(std::back_inserter(text_), "{}: {}", where, what);
  }
  // Lines that another parser collected.
  void add_all(std::string_view lines) {
    if (!text_.empty()) text_ += '\n';
    text_ += lines;
  }
  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] const std::string& text() const { return text_; }

  // A configuration error is never a reply to a recipient: its reason is a placeholder.
  [[nodiscard]] tl::unexpected<Error> as_failure() const {
    return fail(Reason::lookup_failed, text_);
  }

 private:
  std::string text_;
};

}  // namespace lmtpd
