// lmtpd/frontend/strangers.h -- who is connected, is not trusted, and has sent no mail yet: so many
// of them at most, and nobody's flood keeps a new one out.
//
// It costs nothing to be one. So there is always room for the next, which GiveWayOrder makes: of
// the client that has the most of them, the one that has been connected the longest goes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "lmtpd/base/give_way_order.h"

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
  const std::size_t most_;
  std::unordered_map<std::uint64_t, std::string> client_of_;
  GiveWayOrder order_;
};

}  // namespace lmtpd::frontend
