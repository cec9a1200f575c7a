// lmtpd/master/briefings.h -- what a generation tells its roles before Start (role_start.h), with
// descriptors that are theirs alone.
//
// Each fails, with errno's words, where such a descriptor cannot be had; the role then gets no
// Start, and its caller ends it.
#pragma once

#include <cstdint>

#include "lmtpd/base/result.h"
#include "lmtpd/master/configuration.h"
#include "lmtpd/master/generation.h"
#include "lmtpd/master/role_process.h"
#include "lmtpd/master/shared_syncs.h"

namespace lmtpd::master {

[[nodiscard]] Result<void> brief_lookup(RoleProcess& lookup, const Configuration& configuration,
                                        const Generation::Sockets& sockets,
                                        const Generation::Shared& shared);
[[nodiscard]] Result<void> brief_committer(RoleProcess& committer,
                                           const Configuration& configuration,
                                           const SharedSyncs& shared_syncs,
                                           const Generation::Shared& shared);
[[nodiscard]] Result<void> brief_frontend(RoleProcess& frontend, std::uint32_t number,
                                          const Configuration& configuration,
                                          const Generation::Sockets& sockets,
                                          const Generation::Shared& shared);

}  // namespace lmtpd::master
