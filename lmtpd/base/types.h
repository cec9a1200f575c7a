// lmtpd/base/types.h -- values that are made by one parser and never parsed again.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "lmtpd/base/result.h"

namespace lmtpd {

// A user id and a group id that cannot be swapped by mistake.
class Uid {
 public:
  explicit constexpr Uid(std::uint32_t value) : value_(value) {}
  [[nodiscard]] constexpr std::uint32_t value() const { return value_; }
  auto operator<=>(const Uid&) const = default;

 private:
  std::uint32_t value_;
};

class Gid {
 public:
  explicit constexpr Gid(std::uint32_t value) : value_(value) {}
  [[nodiscard]] constexpr std::uint32_t value() const { return value_; }
  auto operator<=>(const Gid&) const = default;

 private:
  std::uint32_t value_;
};

// The default, (uid_t) -1, is nobody: no process can run as it (setresuid(2)).
struct MailboxOwner {
  Uid uid{UINT32_MAX};
  Gid gid{UINT32_MAX};
  auto operator<=>(const MailboxOwner&) const = default;
};

// Where a mailbox lies below virtual_mailbox_base: no leading or trailing slash, and no empty, `.`,
// `..` or NUL-holding component. At most 4095 octets.
class MailboxPath {
 public:
  // Takes what a mailbox table answers. As with virtual(8), leading slashes do not lead out of the
  // base, runs of slashes count as one, and only a value that ends in a slash is a maildir.
  // Fails with Reason::bad_mailbox.
  [[nodiscard]] static Result<MailboxPath> parse(std::string_view table_value);

  [[nodiscard]] const std::string& value() const { return value_; }
  auto operator<=>(const MailboxPath&) const = default;

 private:
  explicit MailboxPath(std::string value) : value_(std::move(value)) {}
  std::string value_;
};

}  // namespace lmtpd
