#include "lmtpd/base/give_way_order.h"

namespace lmtpd {

void GiveWayOrder::add(const std::string& client, std::uint64_t rank, std::uint64_t id) {
  Ids& ids = clients_[client];
  take_out(ids);
  ids.emplace(rank, id);
  put_in(ids);
}

void GiveWayOrder::remove(const std::string& client, std::uint64_t rank) {
  const auto found = clients_.find(client);
  Ids& ids = found->second;
  take_out(ids);
  ids.erase(rank);
  put_in(ids);
  if (ids.empty()) clients_.erase(found);
}

std::optional<std::uint64_t> GiveWayOrder::first() const {
  if (firsts_.empty()) return std::nullopt;
  return firsts_.begin()->second;
}

void GiveWayOrder::take_out(const Ids& ids) {
  if (!ids.empty()) firsts_.erase(place(ids));
}

void GiveWayOrder::put_in(const Ids& ids) {
  if (!ids.empty()) firsts_.emplace(place(ids), ids.begin()->second);
}

GiveWayOrder::Place GiveWayOrder::place(const Ids& ids) {
  return {-static_cast<std::ptrdiff_t>(ids.size()), ids.begin()->first};
}

}  // namespace lmtpd
