#include "lmtpd/master/start_failure.h"

#include <string_view>

#include "lmtpd/base/log.h"

namespace lmtpd::master {

void log_failure(const StartFailure& failure) {
  std::string_view text = failure.text;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    log_error("{}", text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

}  // namespace lmtpd::master
