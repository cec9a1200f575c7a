// lmtpd/master/lookup_channels.h -- the channels between lookup and each frontend.
//
// One is made when either is started, and another when a frontend says that its own has ended while
// both live: one of them has found that the other broke a rule of messages.h. Whichever is at
// fault may end the next one, too; so the wait between two doubles, as with a role that dies.
#pragma once

#include <cstdint>
#include <vector>

#include "lmtpd/base/ticket.h"
#include "lmtpd/master/backoff.h"
#include "lmtpd/master/role_process.h"

namespace lmtpd::master {

class LookupChannels {
 public:
  explicit LookupChannels(std::size_t frontends) : channels_(frontends) {}

  // Introduces them to each other, if both are there. In place of an older channel, which ends.
  void make(std::uint32_t number, RoleProcess* frontend, RoleProcess* lookup,
            Clock::time_point now);
  // The same, but for the wait: the frontend asks again.
  void make_again(std::uint32_t number, RoleProcess* frontend, RoleProcess* lookup,
                  Clock::time_point now);

 private:
  struct OfFrontend {
    Backoff backoff;
    Clock::time_point made_at{};
    Clock::time_point not_before{};  // the next one
  };
  std::vector<OfFrontend> channels_;
};

}  // namespace lmtpd::master
