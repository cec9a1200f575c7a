// lmtpd/master/check.h -- lmtpd -t: would it start with this configuration?
#pragma once

#include "lmtpd/master/configuration.h"
#include "lmtpd/master/generation.h"
#include "lmtpd/master/start_failure.h"

namespace lmtpd::master {

// The places of the sockets are looked at, not touched. The tables are read by lookup itself, under
// its own user: it is started, has to become ready, and is ended; its complaints go to the log.
[[nodiscard]] StartResult<void> check(Configuration configuration,
                                      const Generation::Shared& shared);

}  // namespace lmtpd::master
