// lookup/auth/machine_key.h -- a key that is this machine's, and stays so.
//
// Made of the machine's id as machine-id(5) asks, by a keyed hash with a constant of this
// program's, so that it shows nothing of the id. Whoever can read the id, as every local user can,
// can make the key: it is for what shall stay the same and look random from outside, and keeps no
// secret.
#pragma once

#include <optional>
#include <string>

#include "lmtpd/base/ticket.h"

namespace lmtpd::lookup {

// nullopt: there is no such file, or no id in it (machine-id(5): none yet, or "uninitialized").
[[nodiscard]] std::optional<Key> machine_key(const std::string& path = "/etc/machine-id");

}  // namespace lmtpd::lookup
