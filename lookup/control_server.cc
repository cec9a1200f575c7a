#include "lookup/control_server.h"

#include <event2/util.h>

namespace lmtpd::lookup {

ControlServer::ControlServer(event_base* base, UniqueFd listener,
                             ControlConnection::Service service)
    : base_(base), service_(std::move(service)) {
  if (!listener) return;
  evutil_make_socket_nonblocking(listener.get());
  // A backlog of 0: it listens already.
  listener_.reset(evconnlistener_new(base, on_accepted, this,
                                     LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0,
                                     listener.release()));
}

void ControlServer::on_accepted(evconnlistener*, evutil_socket_t socket, sockaddr*, int,
                                void* self) noexcept {
  static_cast<ControlServer*>(self)->accept(UniqueFd(socket));
}

void ControlServer::accept(UniqueFd socket) {
  ControlConnection::Owner& owner = *this;
  auto connection = std::make_unique<ControlConnection>(base_, std::move(socket), service_, owner);
  const ControlConnection* key = connection.get();
  connections_.emplace(key, std::move(connection));
  if (connections_.size() >= kMostConnections) evconnlistener_disable(listener_.get());
}

void ControlServer::on_control_closed(ControlConnection& connection) {
  connections_.erase(&connection);
  evconnlistener_enable(listener_.get());
}

}  // namespace lmtpd::lookup
