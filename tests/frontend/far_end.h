// tests/frontend/far_end.h -- the other end of a channel of the frontend's, driven by hand, and the
// loop.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "lmtpd/base/channel.h"
#include "lmtpd/base/messages.h"
#include "lmtpd/event/event_ptr.h"

namespace lmtpd::frontend {

// Runs what is due now, until nothing is.
inline void run_loop(event_base* base) {
  for (int i = 0; i < 8; ++i) event_base_loop(base, EVLOOP_NONBLOCK);
}

class FarEnd {
 public:
  // A new channel; returns the near end.
  UniqueFd open() {
    auto pair = make_channel_pair();
    EXPECT_TRUE(pair);
    channel_.emplace(std::move(pair->first));
    return std::move(pair->second);
  }
  void close() { channel_.reset(); }

  template <class Message>
  void send(const Message& message) {
    channel_->send(message);
    EXPECT_EQ(channel_->flush(), Channel::Status::ok);
  }

  // Takes one packet, and from it all messages of this type; views live until the next call.
  template <class Message>
  std::vector<Message> receive() {
    std::vector<Message> messages;
    if (channel_->receive(packet_) != Channel::Status::ok) return messages;
    for (Frame& frame : packet_.frames()) {
      EXPECT_EQ(frame.type, static_cast<std::uint16_t>(Message::kType));
      messages.push_back(*decode<Message>(frame.payload));
    }
    return messages;
  }
  Packet& packet() { return packet_; }
  [[nodiscard]] bool closed() {
    Packet packet;
    return channel_->receive(packet) == Channel::Status::closed;
  }

 private:
  std::optional<Channel> channel_;
  Packet packet_;
};

// The ids of `count` questions, which lookup has been asked and not answered.
inline std::vector<std::uint64_t> receive_questions(event_base* base, FarEnd& lookup,
                                                    std::size_t count) {
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 200 && ids.size() < count; ++i) {
    run_loop(base);
    for (const Resolve& one : lookup.receive<Resolve>()) ids.push_back(one.id);
  }
  EXPECT_EQ(ids.size(), count);
  EXPECT_TRUE(lookup.receive<Resolve>().empty());
  return ids;
}

}  // namespace lmtpd::frontend
