// lookup/socketmap_connection.h -- one Postfix process that looks something up
// (socketmap_table(5)).
//
// A request is the netstring "MAP KEY", its answer one of "OK VALUE", "NOTFOUND ", "TEMP WHY" and
// "PERM WHY". One is answered after the other; what comes meanwhile waits. A connection may be idle
// for long: Postfix keeps it.
#pragma once

#include <event2/bufferevent.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lmtpd/base/unique_fd.h"
#include "lookup/inquiry.h"
#include "lookup/map_query.h"
#include "lookup/netstring.h"

namespace lmtpd::lookup {

class SocketmapConnection final : private Inquiries<MapReply>::Client {
 public:
  class Owner {
   public:
    // It ended. May destroy the connection.
    virtual void on_closed(SocketmapConnection& connection) = 0;

   protected:
    ~Owner() = default;
  };

  // Outlives the connection, as what it refers to.
  struct Service {
    Inquiries<MapReply>& inquiries;
    const ResolverSettings& settings;
  };

  SocketmapConnection(event_base* base, UniqueFd socket, Service& service, Owner& owner);
  ~SocketmapConnection();
  SocketmapConnection(const SocketmapConnection&) = delete;
  SocketmapConnection& operator=(const SocketmapConnection&) = delete;

  // It ends once the request under way is answered; at once if there is none, when it may be gone
  // on return. Postfix connects again and asks again.
  void retire();

 private:
  struct BufferEventDeleter {
    void operator()(bufferevent* buffer) const { bufferevent_free(buffer); }
  };

  static void on_ready(bufferevent*, void* self) noexcept;  // more was read, or all is written
  static void on_event(bufferevent*, short what, void* self) noexcept;
  void read();
  void run(std::string_view request);
  void on_outcome(std::uint64_t id, const MapReply& reply) override;
  void answer(const MapReply& reply);
  [[nodiscard]] bool retired() const;

  std::unique_ptr<bufferevent, BufferEventDeleter> buffer_;
  Service& service_;
  Owner& owner_;
  NetstringReader reader_;
  bool busy_ = false;  // a request is under way
};

}  // namespace lmtpd::lookup
