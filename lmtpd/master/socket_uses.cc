#include "lmtpd/master/socket_uses.h"

#include <fmt/format.h>

namespace lmtpd::master {

bool SocketUses::same_service(std::uint32_t one, std::uint32_t other) const {
  return (one < frontends_) == (other < frontends_) && entries_[one].same_service(entries_[other]);
}

StartResult<bool> SocketUses::add(std::uint32_t index, const std::string& place) {
  const auto [earlier, is_first] = first_.try_emplace(place, index);
  if (is_first || same_service(earlier->second, index)) return is_first;
  return configuration_failure(
      fmt::format("{} and {} are one socket, {}, and differ in what it serves",
                  entries_[earlier->second].text, entries_[index].text, place));
}

}  // namespace lmtpd::master
