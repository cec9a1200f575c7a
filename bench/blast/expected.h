// bench/blast/expected.h -- blast's errors are sentences for its user; nothing branches on them.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace lmtpd::blast {

template <class T>
using Expected = tl::expected<T, std::string>;

[[nodiscard]] inline tl::unexpected<std::string> complain(std::string text) {
  return tl::unexpected<std::string>(std::move(text));
}

}  // namespace lmtpd::blast
