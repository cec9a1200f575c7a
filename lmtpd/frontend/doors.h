// lmtpd/frontend/doors.h -- where clients come in: the listening sockets, and who has come by them.
//
// A client is handed on as soon as it is known who it is. Where the listener's clients come by a
// proxy that is when the proxy's header is there; one that is not among trusted_clients, or sends
// no good header in time, is closed without a greeting, with a line of the log, unless it left
// without a word. Before open(), and where descriptors or memory are short until the next tick(),
// nobody is accepted: the backlog waits, since refusing would count as a dead destination in
// Postfix.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "lmtpd/base/config/network_list.h"
#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/counter.h"
#include "lmtpd/base/role_start.h"
#include "lmtpd/base/unique_fd.h"
#include "lmtpd/event/event_ptr.h"
#include "lmtpd/frontend/proxy_arrival.h"
#include "lmtpd/session/peer.h"
#include "lmtpd/session/session.h"

namespace lmtpd::frontend {

struct Arrived {
  UniqueFd socket;  // connected and non-blocking; the client's octets come next
  session::Peer peer;
  std::string client;  // for ClientPlaces: its network, or the user id at a unix socket
  // Of the listener that it came by; they outlive the frontend's connections.
  const session::Settings& settings;
};

class Doors final : public ProxyArrival::Owner {
 public:
  class Owner {
   public:
    virtual void on_arrived(Arrived client) = 0;
    // nobody_awaited() has become true.
    virtual void on_nobody_awaited() = 0;
    // That are open, for the log.
    [[nodiscard]] virtual std::size_t connections() const = 0;
    // It happened once more.
    virtual void count(Counter counter) = 0;

   protected:
    ~Owner() = default;
  };

  // `listening` are the sockets of settings.listen, by their index there. On `base`, which outlives
  // this, as the owner does.
  Doors(event_base* base, const Settings& settings, NetworkList trusted_clients,
        std::vector<RoleStart::Listening> listening, Owner& owner);

  // Clients are accepted from now on. Once, and before close().
  void open();
  // Once a second.
  void tick();
  // Nobody is accepted any more. Who has been goes on, be his proxy's header still to come.
  void close();
  [[nodiscard]] const NetworkList& trusted_clients() const { return trusted_clients_; }
  // There is no proxy that has connected and whose header is still to come.
  [[nodiscard]] bool nobody_awaited() const { return awaited_.empty(); }

 private:
  struct Door {
    Doors* doors;
    ListenSpec spec;
    session::Settings settings;
    UniqueFd socket;
    EventPtr readable;
  };
  enum class State {
    unopened,
    accepting,
    pausing,  // until the next tick()
    closed
  };
  // Whom a proxy has connected, and not named yet.
  struct Awaited {
    const Door& door;
    std::unique_ptr<ProxyArrival> arrival;
  };

  static void on_acceptable(evutil_socket_t, short, void* door) noexcept;
  static void on_reap(evutil_socket_t, short, void* self) noexcept;
  void accept(const Door& door);
  void admit(const Door& door, UniqueFd socket);
  void await_proxy_header(const Door& door, UniqueFd socket, const sockaddr_storage& proxy);
  [[nodiscard]] session::Peer client_of(const ProxyHeader& header,
                                        const sockaddr_storage& proxy) const;
  void reap();

  // ProxyArrival::Owner
  void on_proxy_header(std::uint64_t name,
                       tl::expected<ProxyHeader, std::string_view> header) override;

  event_base* base_;
  const NetworkList trusted_clients_;
  Owner& owner_;
  std::vector<std::unique_ptr<Door>> doors_;
  std::uint64_t next_name_ = 1;
  std::unordered_map<std::uint64_t, Awaited> awaited_;  // by name
  std::vector<std::uint64_t> ended_;                    // of those
  EventPtr reap_;
  State state_ = State::unopened;
};

}  // namespace lmtpd::frontend
