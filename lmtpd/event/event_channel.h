// lmtpd/event/event_channel.h -- a Channel on a libevent loop.
//
// All that is sent in one turn of the loop leaves together, after the turn's other events: one
// packet, and one wake-up of the peer, a turn.
#pragma once

#include <vector>

#include "lmtpd/base/channel.h"
#include "lmtpd/event/event_ptr.h"

namespace lmtpd {

class EventChannel {
 public:
  // May destroy the EventChannel in on_closed(), but not in on_packet(): it says close() there.
  class Owner {
   public:
    virtual void on_packet(EventChannel& channel, Packet& packet) = 0;
    // The peer is gone, broke the framing, or close() was called. Called once, from the loop;
    // nothing follows.
    virtual void on_closed(EventChannel& channel) = 0;
    // All that was sent so far has left.
    virtual void on_drained(EventChannel&) {}

   protected:
    ~Owner() = default;
  };

  EventChannel(event_base* base, Channel channel, Owner& owner);
  EventChannel(const EventChannel&) = delete;
  EventChannel& operator=(const EventChannel&) = delete;

  template <class Message>
  void send(const Message& message, std::vector<UniqueFd> descriptors = {}) {
    channel_.send(message, std::move(descriptors));
    event_active(flush_.get(), EV_TIMEOUT, 1);
  }

  [[nodiscard]] bool has_unsent() const { return channel_.has_unsent(); }
  [[nodiscard]] std::size_t unsent_packets() const { return channel_.unsent_packets(); }

  // Takes nothing more from the peer; on_closed() follows.
  void close();

 private:
  static void on_readable(evutil_socket_t, short, void* self) noexcept;
  static void on_flush(evutil_socket_t, short, void* self) noexcept;
  void read();
  void flush();

  Channel channel_;
  Owner& owner_;
  EventPtr readable_;
  EventPtr writable_;
  EventPtr flush_;
  bool closing_ = false;
};

}  // namespace lmtpd
