// lookup/auth/give_way_order.h -- which of those that wait gives way to one who has no place.
//
// One of the network that has most of them, so that who takes all places makes room for the others
// himself; there, and among networks that have as many, the one with the lowest rank. Each call
// takes logarithmic time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace lmtpd::lookup {

class GiveWayOrder {
 public:
  // No two have the same rank.
  void add(const std::string& network, std::uint64_t rank, std::uint64_t id);
  void remove(const std::string& network, std::uint64_t rank);
  // The id of the one that does; nullopt: there is none.
  [[nodiscard]] std::optional<std::uint64_t> first() const;

 private:
  using Ids = std::map<std::uint64_t, std::uint64_t>;      // by rank
  using Place = std::pair<std::ptrdiff_t, std::uint64_t>;  // minus their number, lowest rank
  [[nodiscard]] static Place place(const Ids& ids);
  void take_out(const Ids& ids);
  void put_in(const Ids& ids);

  std::unordered_map<std::string, Ids> networks_;  // none is empty
  std::map<Place, std::uint64_t> firsts_;          // the id of each network's first
};

}  // namespace lmtpd::lookup
