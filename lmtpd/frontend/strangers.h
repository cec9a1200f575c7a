// lmtpd/frontend/strangers.h -- who is connected, is not trusted, and has sent no mail yet: so many
// of them at most, and nobody's flood keeps a new one out.
//
// It costs nothing to be one. So there is always room for the next, and it is made where most of it
// is taken: by the client that has the most of them (of several, the one whose oldest is the
// oldest of all), and there by the one that has been connected the longest.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

namespace lmtpd::frontend {

class Strangers {
 public:
  // `most`: 1 at least.
  explicit Strangers(std::size_t most) : most_(most) {}
  Strangers(const Strangers&) = delete;
  Strangers& operator=(const Strangers&) = delete;

  // `name` is above all before it, `client` as ClientPlace has it. Returns who has to go for it,
  // and is forgotten.
  [[nodiscard]] std::optional<std::uint64_t> add(std::uint64_t name, const std::string& client);
  // It left, or sends mail. One that is not known is none.
  void forget(std::uint64_t name);

 private:
  using Names = std::set<std::uint64_t>;  // the oldest first; never empty
  using Clients = std::map<std::string, Names>;
  // Less: has to go first.
  struct Rank {
    std::size_t names;
    std::uint64_t oldest;

    std::strong_ordering operator<=>(const Rank& other) const {
      if (names != other.names) return other.names <=> names;
      return oldest <=> other.oldest;
    }
  };
  [[nodiscard]] static Rank rank_of(const Names& names) { return {names.size(), *names.begin()}; }

  const std::size_t most_;
  Clients clients_;
  std::unordered_map<std::uint64_t, Clients::iterator> client_of_;
  std::set<Rank> ranks_;  // of clients_
};

}  // namespace lmtpd::frontend
