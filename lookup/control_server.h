// lookup/control_server.h -- takes lmtpctl's connections.
//
// Who may connect is the socket's mode (root, 0600). A few at a time; the next ones wait in the
// backlog.
#pragma once

#include <event2/event.h>
#include <event2/listener.h>

#include <map>
#include <memory>
#include <string>

#include "lmtpd/base/unique_fd.h"
#include "lookup/control_connection.h"

namespace lmtpd::lookup {

class ControlServer final : private ControlConnection::Owner {
 public:
  static constexpr std::size_t kMostConnections = 16;

  // `listener` is a listening unix socket, or none: then nothing is served.
  ControlServer(event_base* base, UniqueFd listener, ControlConnection::Service service);

 private:
  struct ListenerDeleter {
    void operator()(evconnlistener* listener) const { evconnlistener_free(listener); }
  };
  static void on_accepted(evconnlistener*, evutil_socket_t socket, sockaddr*, int,
                          void* self) noexcept;
  void accept(UniqueFd socket);
  void on_control_closed(ControlConnection& connection) override;

  event_base* base_;
  ControlConnection::Service service_;
  std::map<const ControlConnection*, std::unique_ptr<ControlConnection>> connections_;
  std::unique_ptr<evconnlistener, ListenerDeleter> listener_;
};

}  // namespace lmtpd::lookup
