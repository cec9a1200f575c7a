// lmtpd/base/channel.h -- a connection between two roles: framed messages over SOCK_SEQPACKET.
//
// A packet holds one or more messages and the descriptors that belong to them (SCM_RIGHTS). What is
// sent between two flush() calls leaves in as few packets as hold it, since wake-ups are what a
// channel costs. Nothing here blocks. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lmtpd/base/ticket.h"
#include "lmtpd/base/unique_fd.h"
#include "lmtpd/base/wire.h"

namespace lmtpd {

// A message of one packet, or its place in the packet. The views live as long as the Packet.
struct Frame {
  std::uint16_t type;
  std::string_view payload;
  std::span<UniqueFd> descriptors;
};

class Packet {
 public:
  // In the order in which they were sent.
  [[nodiscard]] std::span<Frame> frames() { return frames_; }
  // Closes the descriptors that nobody took. The room for octets is kept.
  void clear() {
    frames_.clear();
    descriptors_.clear();
  }

 private:
  friend class Channel;
  std::unique_ptr<char[]> octets_;  // Channel::kMaxPacket of them
  std::vector<UniqueFd> descriptors_;
  std::vector<Frame> frames_;
};

class Channel {
 public:
  static constexpr std::size_t kMaxPacket = 192 * 1024;  // octets
  static constexpr std::size_t kMaxPayload = 160 * 1024;
  static constexpr std::size_t kMaxDescriptors = 64;  // a packet

  static constexpr std::chrono::milliseconds kRetryTime{10};  // where there was no memory

  enum class Status { ok, would_block, no_memory, closed };

  // `socket` is one end of make_channel_pair().
  explicit Channel(UniqueFd socket);

  [[nodiscard]] int fd() const { return socket_.get(); }

  // Queues `message`; it leaves at the next flush(). The descriptors are closed once they are sent.
  // A payload over kMaxPayload is a broken invariant of the caller's and aborts.
  template <class Message>
  void send(const Message& message, std::vector<UniqueFd> descriptors = {}) {
    append_encoded(begin_frame(), message);
    end_frame(static_cast<std::uint16_t>(Message::kType), std::move(descriptors));
  }

  // Sends until all has left (ok), the peer's queue is full (would_block: call again when the
  // socket is writable), the kernel has no memory for it (no_memory: the socket may be writable all
  // the same; call again at retry_at(), before which nothing is tried) or nothing can be sent any
  // more (closed: receive() finds what the peer has sent before, and then the end).
  [[nodiscard]] Status flush();
  // For a loop of poll(2): the events to wait for, and until when at most.
  [[nodiscard]] short events() const;
  [[nodiscard]] std::optional<Clock::time_point> retry_at() const { return retry_at_; }
  [[nodiscard]] bool has_unsent() const { return !outgoing_.empty(); }
  [[nodiscard]] std::size_t unsent_packets() const { return outgoing_.size(); }

  // Takes one packet: ok, would_block (none waits), or closed: end of file, an error, a truncated
  // or malformed packet, a payload over kMaxPayload. Descriptors that no message claims are closed.
  [[nodiscard]] Status receive(Packet& packet);

 private:
  struct Outgoing {
    std::string octets;
    std::vector<UniqueFd> descriptors;
  };
  // Where the payload of the next message is to be appended, once, before end_frame().
  [[nodiscard]] std::string& begin_frame();
  void end_frame(std::uint16_t type, std::vector<UniqueFd> descriptors);

  UniqueFd socket_;
  std::deque<Outgoing> outgoing_;
  std::optional<Clock::time_point> retry_at_;  // kRetryTime after the kernel had no memory
  std::size_t frame_start_ = 0;                // in the last packet, of the frame that was begun
  std::string spare_;                          // memory of a packet that has left
};

// Two connected ends, non-blocking and close-on-exec, with buffers that hold a packet of the
// largest size.
[[nodiscard]] std::optional<std::pair<UniqueFd, UniqueFd>> make_channel_pair();

}  // namespace lmtpd
