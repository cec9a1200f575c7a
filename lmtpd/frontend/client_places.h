// lmtpd/frontend/client_places.h -- who of those that are connected may send mail: so many in all,
// so many of one client.
//
// A place is taken by the first MAIL that nothing else speaks against, not by connecting: who has
// to authenticate first, and cannot, takes none. It is kept until the connection ends. Nobody is
// turned away at the door, where Postfix would take lmtpd for dead: a connection without a place is
// greeted, and its MAIL is answered 451 until there is one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace lmtpd::frontend {

class ClientPlaces {
 public:
  // At most `in_all`, and `each` of one client.
  ClientPlaces(std::size_t in_all, std::size_t each) : in_all_(in_all), each_(each) {}
  ClientPlaces(const ClientPlaces&) = delete;
  ClientPlaces& operator=(const ClientPlaces&) = delete;

  // Connections that hold one now.
  [[nodiscard]] std::size_t taken() const { return taken_; }
  // MAILs refused for want of one, since the start.
  struct Refused {
    std::uint64_t in_all = 0;
    std::uint64_t each = 0;
    bool operator==(const Refused&) const = default;
  };
  [[nodiscard]] const Refused& refused() const { return refused_; }

 private:
  friend class ClientPlace;
  enum class Outcome { taken, full, full_for_client };
  [[nodiscard]] Outcome take(const std::string& client);
  void give_back(const std::string& client);

  const std::size_t in_all_;
  const std::size_t each_;
  std::size_t taken_ = 0;
  std::unordered_map<std::string, std::size_t> by_client_;  // no zeros
  Refused refused_;
};

// A connection's place, or its wish for one.
class ClientPlace {
 public:
  // `client` is what its connections have in common: a uid, a network. `places` outlive this.
  ClientPlace(ClientPlaces& places, std::string client);
  ~ClientPlace();
  ClientPlace(const ClientPlace&) = delete;
  ClientPlace& operator=(const ClientPlace&) = delete;

  [[nodiscard]] const std::string& client() const { return client_; }
  [[nodiscard]] bool held() const { return held_; }
  // Whether the connection has a place, or gets one now; else the refusal is counted.
  [[nodiscard]] bool hold();

 private:
  ClientPlaces& places_;
  const std::string client_;
  bool held_ = false;
};

}  // namespace lmtpd::frontend
