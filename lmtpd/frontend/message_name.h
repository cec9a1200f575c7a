// lmtpd/frontend/message_name.h -- a message among all that a frontend has under way.
#pragma once

#include <compare>
#include <cstdint>

namespace lmtpd::frontend {

struct MessageName {
  std::uint64_t connection;
  std::uint64_t body;  // the session's id of it
  auto operator<=>(const MessageName&) const = default;
};

}  // namespace lmtpd::frontend
