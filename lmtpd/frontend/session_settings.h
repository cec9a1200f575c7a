// lmtpd/frontend/session_settings.h -- what lmtpd.cf means for one frontend's sessions.
#pragma once

#include "lmtpd/base/config/settings.h"
#include "lmtpd/session/session.h"

namespace lmtpd::frontend {

// Of those who come by `listener`.
[[nodiscard]] session::Settings session_settings(const Settings& settings,
                                                 const ListenSpec& listener);

}  // namespace lmtpd::frontend
