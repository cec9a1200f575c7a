// lmtpd/master/listeners.h -- the listening sockets of `listen`, bound here or by the service
// manager.
//
// They outlive the generations of roles: a reload prepares a Plan beside what is open, and adopts
// it only when the new roles are ready; a Plan that is dropped leaves no trace. A unix socket whose
// name somebody has removed is made anew. A socket that the service manager bound is used by the
// entry of `listen` it fits, and is neither bound nor removed here.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/unique_fd.h"
#include "lmtpd/master/inet_listener.h"
#include "lmtpd/master/socket_activation.h"
#include "lmtpd/master/socket_uses.h"
#include "lmtpd/master/start_failure.h"
#include "lmtpd/master/unix_listener.h"

namespace lmtpd::master {

class Listeners {
 public:
  explicit Listeners(std::vector<ActivatedSocket> activated);

  // A listening socket as a role gets it.
  struct Share {
    std::uint32_t index;  // in `listen`
    UniqueFd fd;
  };

  class Plan {
   public:
    // A duplicate of every socket, for one process.
    [[nodiscard]] StartResult<std::vector<Share>> share() const;
    // As UnixListener's, of each that is fresh.
    [[nodiscard]] StartResult<void> check_free() const;

   private:
    friend class Listeners;
    struct Use {
      std::uint32_t index;
      std::string identity;
      std::string place;  // as SocketUses'
      int fd;
      bool operator==(const Use&) const = default;
    };
    struct Socket {
      std::string identity;  // what another plan has to name to use it
      std::variant<UniqueFd, UnixListener> socket;
      [[nodiscard]] int fd() const;
      // Where its clients look for it.
      [[nodiscard]] bool in_place() const;
    };
    std::vector<Use> uses_;
    std::vector<Socket> fresh_;
  };

  // Opens what Settings::all_listeners() names and is not open yet. Fails if an activated socket
  // fits no entry, and as SocketUses.
  [[nodiscard]] StartResult<Plan> prepare(const Settings& settings,
                                          const SocketAccess& access) const;

  // Puts the plan's sockets at their places and closes those that it does not use.
  [[nodiscard]] StartResult<void> adopt(Plan plan);

  // Closes and removes all; activated sockets stay the service manager's.
  void close();

 private:
  struct Activated {
    std::string address;  // "unix:PATH" or "HOST:PORT"
    std::string name;
    UniqueFd fd;
  };
  [[nodiscard]] const Activated* activated_for(const std::string& path) const;
  [[nodiscard]] const Plan::Socket* find_open(const Plan& plan, const std::string& identity) const;
  static void use(Plan& plan, Plan::Use used);
  [[nodiscard]] static StartResult<void> keep_one_use_each(Plan& plan, SocketUses& uses);
  [[nodiscard]] StartResult<void> prepare_unix(Plan& plan, std::uint32_t index,
                                               const std::string& path,
                                               const SocketAccess& access) const;
  [[nodiscard]] StartResult<void> prepare_inet(Plan& plan, std::uint32_t index,
                                               const ListenSpec& spec) const;

  std::vector<Activated> activated_;
  std::vector<Plan::Socket> open_;
};

}  // namespace lmtpd::master
