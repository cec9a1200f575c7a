// lmtpd/base/enhanced_code.h -- the enhanced status code that words for a refusal begin with.
//
// RFC 3463 section 2: class, subject and detail, the latter two of up to three digits without
// leading zeros; here of class 4 or 5, and with white space or nothing behind it.
#pragma once

#include <string_view>

namespace lmtpd {

// Takes it, and the white space behind it, off `words`. Empty, and `words` as they were: they begin
// with none.
[[nodiscard]] std::string_view take_enhanced_code(std::string_view& words);

}  // namespace lmtpd
