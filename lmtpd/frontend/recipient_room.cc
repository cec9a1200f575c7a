#include "lmtpd/frontend/recipient_room.h"

namespace lmtpd::frontend {

bool RecipientRoom::take(const std::string& client, std::uint64_t octets) {
  const auto found = by_client_.find(client);
  const std::uint64_t mine = octets + (found == by_client_.end() ? 0 : found->second);
  const bool leaves_as_much = held_ + octets + mine <= octets_;
  const bool little_is_held = held_ <= kAlways;
  if (mine > kAlways && !leaves_as_much && !little_is_held) return false;
  by_client_[client] = mine;
  held_ += octets;
  return true;
}

void RecipientRoom::give_back(const std::string& client, std::uint64_t octets) {
  const auto mine = by_client_.find(client);
  mine->second -= octets;
  if (mine->second == 0) by_client_.erase(mine);
  held_ -= octets;
}

bool RecipientHold::add(std::uint64_t octets) {
  if (!room_.take(client_, octets)) return false;
  octets_ += octets;
  return true;
}

void RecipientHold::give_back(std::uint64_t octets) {
  if (octets == 0) return;
  octets_ -= octets;
  room_.give_back(client_, octets);
}

}  // namespace lmtpd::frontend
