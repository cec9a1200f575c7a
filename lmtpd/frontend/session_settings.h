// lmtpd/frontend/session_settings.h -- what lmtpd.cf means for one frontend and its sessions.
//
// Limits of all frontends together are divided among them; each has an equal share.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lmtpd/base/config/settings.h"
#include "lmtpd/session/session.h"

namespace lmtpd::frontend {

// Of a limit that is `limit` for all; 1 at least.
[[nodiscard]] std::size_t share_of(std::uint32_t limit, const Settings& settings);
// Of spool_limit, in octets.
[[nodiscard]] std::uint64_t spool_share(const Settings& settings);
// The largest message that is taken, in octets.
[[nodiscard]] std::uint64_t size_announced(const Settings& settings);

// Of those who come by `listener`.
[[nodiscard]] session::Settings session_settings(const Settings& settings,
                                                 const ListenSpec& listener);

}  // namespace lmtpd::frontend
