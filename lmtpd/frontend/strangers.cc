#include "lmtpd/frontend/strangers.h"

namespace lmtpd::frontend {

std::optional<std::uint64_t> Strangers::add(std::uint64_t name, const std::string& client) {
  client_of_.emplace(name, client);
  order_.add(client, name, name);
  if (client_of_.size() <= most_) return std::nullopt;
  const std::optional<std::uint64_t> leaving = order_.first();
  forget(*leaving);
  return leaving;
}

void Strangers::forget(std::uint64_t name) {
  const auto found = client_of_.find(name);
  if (found == client_of_.end()) return;
  order_.remove(found->second, name);
  client_of_.erase(found);
}

}  // namespace lmtpd::frontend
