// lookup/stream_server.h -- takes the connections of one listening socket, from open() to retire().
//
// Who may connect is the socket's matter, its mode or address. So many at a time; the next ones
// wait in the backlog.
#pragma once

#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>

#include <map>
#include <memory>
#include <utility>

#include "lmtpd/base/unique_fd.h"

namespace lmtpd::lookup {

// Connection is made of (event_base*, UniqueFd, Connection::Service&, Connection::Owner&), and says
// to its owner when it ends.
template <class Connection>
class StreamServer final : private Connection::Owner {
 public:
  // `listener` is a listening socket, or none: then nothing is served.
  StreamServer(event_base* base, UniqueFd listener, typename Connection::Service service,
               std::size_t most_connections)
      : base_(base), service_(std::move(service)), most_connections_(most_connections) {
    if (!listener) return;
    evutil_make_socket_nonblocking(listener.get());
    // A backlog of 0: it listens already.
    listener_.reset(evconnlistener_new(
        base, on_accepted, this, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED,
        0, listener.release()));
  }
  StreamServer(const StreamServer&) = delete;
  StreamServer& operator=(const StreamServer&) = delete;

  void open() { enable(); }
  // The socket is another process's alone from now on. Each connection ends as its retire() says.
  void retire() {
    listener_.reset();
    for (auto next = connections_.begin(); next != connections_.end();) {
      (next++)->second->retire();
    }
  }

 private:
  struct ListenerDeleter {
    void operator()(evconnlistener* listener) const { evconnlistener_free(listener); }
  };

  static void on_accepted(evconnlistener*, evutil_socket_t socket, sockaddr*, int,
                          void* self) noexcept {
    static_cast<StreamServer*>(self)->accept(UniqueFd(socket));
  }

  void accept(UniqueFd socket) {
    typename Connection::Owner& owner = *this;
    auto connection = std::make_unique<Connection>(base_, std::move(socket), service_, owner);
    const Connection* key = connection.get();
    connections_.emplace(key, std::move(connection));
    if (connections_.size() >= most_connections_) evconnlistener_disable(listener_.get());
  }

  void on_closed(Connection& connection) override {
    connections_.erase(&connection);
    enable();
  }

  void enable() {
    if (listener_) evconnlistener_enable(listener_.get());
  }

  event_base* base_;
  typename Connection::Service service_;
  std::size_t most_connections_;
  std::map<const Connection*, std::unique_ptr<Connection>> connections_;
  std::unique_ptr<evconnlistener, ListenerDeleter> listener_;
};

}  // namespace lmtpd::lookup
