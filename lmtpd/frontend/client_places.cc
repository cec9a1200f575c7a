#include "lmtpd/frontend/client_places.h"

#include <utility>

namespace lmtpd::frontend {

ClientPlaces::Outcome ClientPlaces::take(const std::string& client) {
  if (taken_ >= in_all_) return Outcome::full;
  std::size_t& mine = by_client_[client];
  if (mine >= each_) return Outcome::full_for_client;
  ++mine;
  ++taken_;
  return Outcome::taken;
}

void ClientPlaces::give_back(const std::string& client) {
  --taken_;
  const auto mine = by_client_.find(client);
  if (--mine->second == 0) by_client_.erase(mine);
}

ClientPlace::ClientPlace(ClientPlaces& places, std::string client)
    : places_(places), client_(std::move(client)) {}

ClientPlace::~ClientPlace() {
  if (held_) places_.give_back(client_);
}

bool ClientPlace::hold() {
  if (held_) return true;
  switch (places_.take(client_)) {
    case ClientPlaces::Outcome::taken:
      held_ = true;
      break;
    case ClientPlaces::Outcome::full:
      ++places_.refused_.in_all;
      break;
    case ClientPlaces::Outcome::full_for_client:
      ++places_.refused_.each;
      break;
  }
  return held_;
}

}  // namespace lmtpd::frontend
