// lmtpd/master/socket_uses.h -- which entry of `listen` and `socketmap_listen` serves each socket.
//
// Several may lead to one, through two names of a host or a symlink. A process gets it once, by the
// first of them, which is right if clients find the same by each.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lmtpd/base/config/settings.h"
#include "lmtpd/master/start_failure.h"

namespace lmtpd::master {

class SocketUses {
 public:
  explicit SocketUses(const Settings& settings)
      : entries_(settings.all_listeners()), frontends_(settings.listen.size()) {}

  [[nodiscard]] const std::vector<ListenSpec>& entries() const { return entries_; }

  // `index` of entries(); `place` is the same for all names of a socket. True: the first for this
  // place. Fails if an earlier one promises its clients something else.
  [[nodiscard]] StartResult<bool> add(std::uint32_t index, const std::string& place);

 private:
  [[nodiscard]] bool same_service(std::uint32_t one, std::uint32_t other) const;

  std::vector<ListenSpec> entries_;  // of `listen`, then those of `socketmap_listen`
  std::size_t frontends_;
  std::map<std::string, std::uint32_t> first_;  // by place
};

}  // namespace lmtpd::master
