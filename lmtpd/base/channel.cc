// lmtpd/base/channel.cc -- the packet: for each message a header {type, descriptors, payload
// length} and the payload; the descriptors of all messages in the order of the messages.

#include "lmtpd/base/channel.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "lmtpd/base/log.h"

namespace lmtpd {
namespace {

struct FrameHeader {
  std::uint16_t type;
  std::uint16_t descriptors;
  std::uint32_t length;
};

// A burst's memory is given back.
constexpr std::size_t kLargestSpare = 64 * 1024;  // octets

// Room for the control message that carries the most descriptors.
struct alignas(cmsghdr) ControlBuffer {
  std::array<char, CMSG_SPACE(Channel::kMaxDescriptors * sizeof(int))> octets;
};

// Takes every descriptor out of a received header, so that none leaks whatever follows.
std::vector<UniqueFd> take_descriptors(msghdr& header) {
  std::vector<UniqueFd> taken;
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
       control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof fd);
      taken.emplace_back(fd);
    }
  }
  return taken;
}

}  // namespace

Channel::Channel(UniqueFd socket) : socket_(std::move(socket)) {}

std::string& Channel::begin_frame() {
  if (outgoing_.empty()) {
    spare_.clear();
    outgoing_.push_back({std::exchange(spare_, {}), {}});
  }
  std::string& octets = outgoing_.back().octets;
  frame_start_ = octets.size();
  octets.append(sizeof(FrameHeader), '\0');
  return octets;
}

void Channel::end_frame(std::uint16_t type, std::vector<UniqueFd> descriptors) {
  const std::size_t size = outgoing_.back().octets.size() - frame_start_;
  const std::size_t payload = size - sizeof(FrameHeader);
  if (payload > kMaxPayload || descriptors.size() > kMaxDescriptors) {
    log_error("channel: message of type {} with {} octets and {} descriptors does not fit", type,
              payload, descriptors.size());
    std::abort();
  }
  const FrameHeader header{type, static_cast<std::uint16_t>(descriptors.size()),
                           static_cast<std::uint32_t>(payload)};
  std::memcpy(outgoing_.back().octets.data() + frame_start_, &header, sizeof header);
  if (outgoing_.back().octets.size() > kMaxPacket ||
      outgoing_.back().descriptors.size() + descriptors.size() > kMaxDescriptors) {
    // It begins a packet of its own.
    std::string moved = outgoing_.back().octets.substr(frame_start_);
    outgoing_.back().octets.resize(frame_start_);
    outgoing_.push_back({std::move(moved), {}});
  }
  for (UniqueFd& fd : descriptors) outgoing_.back().descriptors.push_back(std::move(fd));
}

short Channel::events() const {
  return static_cast<short>(has_unsent() && !retry_at_ ? POLLIN | POLLOUT : POLLIN);
}

Channel::Status Channel::flush() {
  if (retry_at_ && Clock::now() < *retry_at_) return Status::no_memory;
  retry_at_.reset();
  while (!outgoing_.empty()) {
    Outgoing& packet = outgoing_.front();
    iovec data{packet.octets.data(), packet.octets.size()};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    ControlBuffer buffer;
    if (!packet.descriptors.empty()) {
      const std::size_t size = packet.descriptors.size() * sizeof(int);
      header.msg_control = buffer.octets.data();
      header.msg_controllen = CMSG_SPACE(size);
      cmsghdr* control = CMSG_FIRSTHDR(&header);
      control->cmsg_level = SOL_SOCKET;
      control->cmsg_type = SCM_RIGHTS;
      control->cmsg_len = CMSG_LEN(size);
      for (std::size_t i = 0; i < packet.descriptors.size(); ++i) {
        const int fd = packet.descriptors[i].get();
        std::memcpy(CMSG_DATA(control) + i * sizeof(int), &fd, sizeof fd);
      }
    }
    const ssize_t sent = ::sendmsg(socket_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return Status::would_block;
      // No memory for the packet (ENOBUFS) or its descriptors (ENOMEM), or as many descriptors of
      // this user's are in flight as a process may have open (ETOOMANYREFS, unix(7)): they come
      // down as peers receive. No event tells, and the peer's queue, which poll(2) looks at, may
      // have room.
      if (errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS) {
        retry_at_ = Clock::now() + kRetryTime;
        return Status::no_memory;
      }
      // Whatever it was: a reader finds what the peer has sent, and then the end.
      ::shutdown(socket_.get(), SHUT_RDWR);
      return Status::closed;
    }
    if (packet.octets.capacity() <= kLargestSpare) spare_ = std::move(packet.octets);
    outgoing_.pop_front();
  }
  return Status::ok;
}

Channel::Status Channel::receive(Packet& packet) {
  packet.clear();
  if (!packet.octets_) packet.octets_ = std::make_unique_for_overwrite<char[]>(kMaxPacket);
  iovec data{packet.octets_.get(), kMaxPacket};
  ControlBuffer buffer;
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = buffer.octets.data();
  header.msg_controllen = buffer.octets.size();

  ssize_t received = -1;
  do {
    received = ::recvmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return errno == EAGAIN ? Status::would_block : Status::closed;
  packet.descriptors_ = take_descriptors(header);
  if (received == 0 || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Status::closed;

  std::string_view rest(packet.octets_.get(), static_cast<std::size_t>(received));
  std::span<UniqueFd> descriptors(packet.descriptors_);
  while (!rest.empty()) {
    FrameHeader frame{};
    if (rest.size() < sizeof frame) return Status::closed;
    std::memcpy(&frame, rest.data(), sizeof frame);
    rest.remove_prefix(sizeof frame);
    if (frame.length > rest.size() || frame.length > kMaxPayload ||
        frame.descriptors > descriptors.size()) {
      return Status::closed;
    }
    packet.frames_.push_back(
        {frame.type, rest.substr(0, frame.length), descriptors.first(frame.descriptors)});
    rest.remove_prefix(frame.length);
    descriptors = descriptors.subspan(frame.descriptors);
  }
  return descriptors.empty() ? Status::ok : Status::closed;
}

std::optional<std::pair<UniqueFd, UniqueFd>> make_channel_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return std::nullopt;
  }
  std::pair<UniqueFd, UniqueFd> pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
  // The kernel doubles the value for its own overhead; several packets fit, so that a burst does
  // not stall.
  constexpr int kBuffer = 4 * static_cast<int>(Channel::kMaxPacket);
  for (const int end : ends) {
    // The first needs CAP_NET_ADMIN and passes net.core.wmem_max; the second is capped by it.
    if (::setsockopt(end, SOL_SOCKET, SO_SNDBUFFORCE, &kBuffer, sizeof kBuffer) != 0 &&
        ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &kBuffer, sizeof kBuffer) != 0) {
      return std::nullopt;
    }
    int granted = 0;
    socklen_t length = sizeof granted;
    if (::getsockopt(end, SOL_SOCKET, SO_SNDBUF, &granted, &length) != 0 ||
        granted < static_cast<int>(Channel::kMaxPacket)) {
      errno = ENOBUFS;
      return std::nullopt;
    }
  }
  return pair;
}

}  // namespace lmtpd
