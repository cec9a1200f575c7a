// lmtpd/base/give_way_order.h -- who gives way to one for whom there is no place.
//
// One of the client that has most places, so that who takes all places makes room for the others
// himself; there, and among clients that have as many, the one with the lowest rank. Each call
// takes logarithmic time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace lmtpd {

class GiveWayOrder {
 public:
  // No two have the same rank.
  void add(const std::string& client, std::uint64_t rank, std::uint64_t id);
  void remove(const std::string& client, std::uint64_t rank);
  // The id of the one that does; nullopt: there is none.
  [[nodiscard]] std::optional<std::uint64_t> first() const;

 private:
  using Ids = std::map<std::uint64_t, std::uint64_t>;      // by rank
  using Place = std::pair<std::ptrdiff_t, std::uint64_t>;  // minus their number, lowest rank
  [[nodiscard]] static Place place(const Ids& ids);
  void take_out(const Ids& ids);
  void put_in(const Ids& ids);

  std::unordered_map<std::string, Ids> clients_;  // none is empty
  std::map<Place, std::uint64_t> firsts_;         // the id of each client's first
};

}  // namespace lmtpd
