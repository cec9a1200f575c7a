// lmtpd/master/start_failure.h -- why lmtpd does not start, or does not reload, and its exit
// status.
#pragma once

#include <sysexits.h>

#include <cstdlib>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace lmtpd::master {

struct StartFailure {
  int exit_status;   // EX_CONFIG: starting again cannot help before the configuration is changed
  std::string text;  // one line or several
};

// Each line as one of the log.
void log_failure(const StartFailure& failure);

template <class T>
using StartResult = tl::expected<T, StartFailure>;

[[nodiscard]] inline tl::unexpected<StartFailure> configuration_failure(std::string text) {
  return tl::unexpected<StartFailure>(StartFailure{EX_CONFIG, std::move(text)});
}
[[nodiscard]] inline tl::unexpected<StartFailure> system_failure(std::string text) {
  return tl::unexpected<StartFailure>(StartFailure{EXIT_FAILURE, std::move(text)});
}

}  // namespace lmtpd::master
