#include "lmtpd/frontend/strangers.h"

namespace lmtpd::frontend {

std::optional<std::uint64_t> Strangers::add(std::uint64_t name, const std::string& client) {
  const auto [mine, is_new] = clients_.try_emplace(client);
  if (!is_new) ranks_.erase(rank_of(mine->second));
  mine->second.insert(name);
  ranks_.insert(rank_of(mine->second));
  client_of_.emplace(name, mine);
  if (client_of_.size() <= most_) return std::nullopt;
  const std::uint64_t leaving = ranks_.begin()->oldest;
  forget(leaving);
  return leaving;
}

void Strangers::forget(std::uint64_t name) {
  const auto found = client_of_.find(name);
  if (found == client_of_.end()) return;
  const auto client = found->second;
  client_of_.erase(found);
  Names& names = client->second;
  ranks_.erase(rank_of(names));
  names.erase(name);
  if (names.empty()) {
    clients_.erase(client);
  } else {
    ranks_.insert(rank_of(names));
  }
}

}  // namespace lmtpd::frontend
