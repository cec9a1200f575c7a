// lmtpd/base/result.h -- errors as values.
//
// A layer that fails returns an Error that describes what failed; the layer that decides logs it;
// the one table in lmtpd/session/reply turns its Reason into a reply code and an enhanced status
// code.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace lmtpd {

// The closed list of why a recipient or a message is not taken. Crosses channels as one octet.
enum class Reason : std::uint8_t {
  unknown_user,     // no table has the recipient
  bad_address,      // the recipient's address has no valid syntax
  bad_utf8,         // the recipient's address is not valid UTF-8
  lookup_failed,    // a table could not be asked, or its answer cannot be understood
  alias_limit,      // alias loop, or one of the virtual_alias_*_limit parameters
  bad_mailbox,      // the row gives no usable uid, gid or path
  remote_target,    // an alias leads to an address that is not a local mailbox
  transport_error,  // transport_errors = yes and an `error:` row; text is "X.Y.Z words"
  transport_retry,  // the same for a `retry:` row
  no_access,        // the mailbox cannot be written as its owner (EACCES, EROFS, ELOOP ...)
  no_space,         // no disk space, inode, memory or descriptor
  over_quota,       // the file system's quota of the owner (EDQUOT)
  io,               // the disk failed, or the outcome is not known
  too_big,          // larger than message_size_limit
  too_many_hops,    // hopcount_limit Received headers
  overload,         // a limit of this daemon; trying later helps
};
inline constexpr Reason kLastReason = Reason::overload;

// `text` is for the log and the reply's words; it never holds a secret.
struct Error {
  Reason reason;
  std::string text;
};

template <class T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(Reason reason, std::string text) {
  return tl::unexpected<Error>(Error{reason, std::move(text)});
}

}  // namespace lmtpd
