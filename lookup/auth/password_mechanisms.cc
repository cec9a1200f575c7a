#include "lookup/auth/password_mechanisms.h"

#include <utility>

#include "lookup/auth/saslprep.h"

namespace lmtpd::lookup {
namespace {

constexpr const char* kOutOfTurn = "a message out of turn";

MechanismStep check(std::string_view name, std::string_view password) {
  const std::optional<std::string> user = saslprep(name);
  if (!user || user->empty()) return Refused{"a user name that is empty or not allowed"};
  if (password.empty() || password.find('\0') != std::string_view::npos) {
    return Refused{"a password that is empty or holds a NUL"};
  }
  return CheckPassword{*user, std::string(password)};
}

}  // namespace

// [authzid] NUL authcid NUL passwd
MechanismStep PlainMechanism::respond(std::string_view message) {
  if (std::exchange(over_, true)) return Refused{kOutOfTurn};
  const std::size_t first = message.find('\0');
  const std::size_t second =
      first == std::string_view::npos ? first : message.find('\0', first + 1);
  if (second == std::string_view::npos) return Refused{"a malformed PLAIN message"};
  const std::string_view acts_for = message.substr(0, first);
  const std::string_view name = message.substr(first + 1, second - first - 1);
  if (!acts_for.empty() && acts_for != name) return Refused{"acting for another user"};
  return check(name, message.substr(second + 1));
}

MechanismStep LoginMechanism::respond(std::string_view message) {
  if (!user_) {
    user_ = message;
    return Challenge{"Password:"};
  }
  if (std::exchange(over_, true)) return Refused{kOutOfTurn};
  return check(*user_, message);
}

}  // namespace lmtpd::lookup
