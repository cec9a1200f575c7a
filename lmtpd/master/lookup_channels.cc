#include "lmtpd/master/lookup_channels.h"

#include <cerrno>
#include <utility>

#include "lmtpd/base/channel.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/messages.h"

namespace lmtpd::master {

void LookupChannels::make(std::uint32_t number, RoleProcess* frontend, RoleProcess* lookup,
                          Clock::time_point now) {
  if (frontend == nullptr || lookup == nullptr || !lookup->alive()) return;
  OfFrontend& channel = channels_[number];
  channel.not_before = now + channel.backoff.after_death(now - channel.made_at);
  channel.made_at = now;
  std::optional<std::pair<UniqueFd, UniqueFd>> pair = make_channel_pair();
  if (!pair) {
    // Without each other they are of no use; their restart tries again.
    log_error("{}", errno_text("a channel to lookup", errno));
    frontend->kill();
    return;
  }
  frontend->introduce({.kind = static_cast<std::uint8_t>(PeerKind::lookup)},
                      std::move(pair->first));
  lookup->introduce({.kind = static_cast<std::uint8_t>(PeerKind::frontend), .instance = number},
                    std::move(pair->second));
}

void LookupChannels::make_again(std::uint32_t number, RoleProcess* frontend, RoleProcess* lookup,
                                Clock::time_point now) {
  if (now < channels_[number].not_before) return;
  // Where lookup has died, its successor is introduced to all.
  if (lookup == nullptr || !lookup->alive()) return;
  log_warning("frontend {}: its channel to lookup has ended; it gets another", number);
  make(number, frontend, lookup, now);
}

}  // namespace lmtpd::master
