#include "lmtpd/event/event_channel.h"

namespace lmtpd {
namespace {
// So that one busy peer does not keep the others waiting.
constexpr int kPacketsATurn = 64;
}  // namespace

EventChannel::EventChannel(event_base* base, Channel channel, Owner& owner)
    : channel_(std::move(channel)),
      owner_(owner),
      readable_(event_new(base, channel_.fd(), EV_READ | EV_PERSIST, on_readable, this)),
      writable_(event_new(base, channel_.fd(), EV_WRITE, on_flush, this)),
      flush_(event_new(base, -1, 0, on_flush, this)) {
  event_add(readable_.get(), nullptr);
}

void EventChannel::close() {
  closing_ = true;
  event_active(readable_.get(), EV_READ, 1);
}

void EventChannel::on_readable(evutil_socket_t, short, void* self) noexcept {
  static_cast<EventChannel*>(self)->read();
}

void EventChannel::on_flush(evutil_socket_t, short, void* self) noexcept {
  static_cast<EventChannel*>(self)->flush();
}

void EventChannel::read() {
  // One for all channels of the process, which are read one after the other: its size is worth more
  // than what most packets hold.
  static Packet packet;
  for (int i = 0; i < kPacketsATurn && !closing_; ++i) {
    const Channel::Status status = channel_.receive(packet);
    if (status == Channel::Status::would_block) return;
    if (status == Channel::Status::closed) {
      closing_ = true;
    } else {
      owner_.on_packet(*this, packet);
      packet.clear();
    }
  }
  if (closing_) {
    event_del(readable_.get());
    event_del(writable_.get());
    event_del(flush_.get());
    owner_.on_closed(*this);  // may destroy this
  }
}

void EventChannel::flush() {
  if (closing_) return;
  switch (channel_.flush()) {
    case Channel::Status::ok:
      owner_.on_drained(*this);
      return;
    case Channel::Status::would_block:
      event_add(writable_.get(), nullptr);
      return;
    case Channel::Status::no_memory: {
      const timeval span = to_timeval(*channel_.retry_at() - Clock::now());
      event_add(flush_.get(), &span);
      return;
    }
    case Channel::Status::closed:
      // What the peer sent before it went is still to be read; the end of file comes after it.
      return;
  }
}

}  // namespace lmtpd
