// lmtpd/frontend/proxy_arrival.h -- a connection from a proxy, as long as its PROXY header is not
// there.
//
// Reads the header and not an octet more, so that the socket can go on to whoever speaks with the
// client, by TLS or not.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lmtpd/base/unique_fd.h"
#include "lmtpd/event/event_ptr.h"
#include "lmtpd/frontend/proxy_header.h"

namespace lmtpd::frontend {

class ProxyArrival {
 public:
  class Owner {
   public:
    // Once: the header is there, or why not, in words for the log; empty where the proxy left
    // without a word, as it does to see whether we listen. Destroy the arrival, but not from within
    // this call.
    virtual void on_proxy_header(std::uint64_t name,
                                 tl::expected<ProxyHeader, std::string_view> header) = 0;

   protected:
    ~Owner() = default;
  };

  // `socket` is connected and non-blocking, `proxy` its peer's address. `name` is for the owner. A
  // header that is not whole after `patience` is none.
  ProxyArrival(event_base* base, UniqueFd socket, const sockaddr_storage& proxy, std::uint64_t name,
               timeval patience, Owner& owner);
  ProxyArrival(const ProxyArrival&) = delete;
  ProxyArrival& operator=(const ProxyArrival&) = delete;

  [[nodiscard]] const sockaddr_storage& proxy() const { return proxy_; }
  // After on_proxy_header(): the client's octets come next.
  [[nodiscard]] UniqueFd take_socket() { return std::move(socket_); }

 private:
  static void on_readable(evutil_socket_t, short, void* self) noexcept;
  static void on_timer(evutil_socket_t, short, void* self) noexcept;
  void read();
  void end(const tl::expected<ProxyHeader, std::string_view>& header);

  UniqueFd socket_;
  const sockaddr_storage proxy_;
  const std::uint64_t name_;
  Owner& owner_;
  std::string header_;  // so far
  EventPtr readable_;
  EventPtr timer_;
};

}  // namespace lmtpd::frontend
