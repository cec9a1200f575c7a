// tests/base/hostile_packets.h -- what a fuzzer has a taken-over role send on its channels.
//
// The input is messages, each {how, type, length of the payload (2), payload}; `how` says how many
// descriptors come with it, where a packet ends, where its header lies, and whether a string is
// longer than an input would hold: {where (2), KiB (1)} come before the payload then. So a fuzzer
// need not find out how packets are framed (fuzz_channel does) before it comes to what they hold.
#pragma once

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/channel.h"
#include "lmtpd/base/log.h"

namespace lmtpd::testing {

inline void must(bool holds, std::source_location at = std::source_location::current()) {
  if (holds) return;
  fmt::print(stderr, "{}:{} does not hold\n", at.file_name(), at.line());
  std::abort();
}

// What roles say of a peer that breaks the rules is not what is looked for.
inline void keep_log_silent() {
  open_log("fuzz", LogTarget::standard_error,
           static_cast<Severity>(static_cast<int>(Severity::error) + 1));
}

struct HostileFrame {
  std::uint16_t type;
  std::string payload;
  std::size_t descriptors;
  bool lies = false;  // its header names more than there is
};

struct HostilePacket {
  std::vector<HostileFrame> frames;
  bool lies = false;  // no frames: the last one lies, or is longer than any may be
};

inline constexpr std::uint8_t kDescriptors = 3;  // of `how`: their number
inline constexpr std::uint8_t kEndsPacket = 4;
inline constexpr std::uint8_t kLies = 8;  // and ends it
inline constexpr std::uint8_t kStretches = 16;
inline constexpr std::size_t kHeader = 8;  // octets, of a message in a packet

// Has so many octets more in the string whose length stands at `where`, if one does.
inline void stretch(std::string& payload, std::size_t where, std::size_t octets) {
  std::uint32_t length = 0;
  if (payload.size() < where + sizeof length) return;
  std::memcpy(&length, payload.data() + where, sizeof length);
  const std::size_t begin = where + sizeof length;
  if (length > payload.size() - begin) return;
  payload.insert(begin + length, octets, 'a');
  length += static_cast<std::uint32_t>(octets);
  std::memcpy(payload.data() + where, &length, sizeof length);
}

inline std::vector<HostilePacket> hostile_packets(std::string_view input) {
  std::vector<HostilePacket> packets;
  bool ended = true;
  std::size_t carried = 0;  // descriptors, by the last packet
  std::size_t octets = 0;   // the same
  while (input.size() >= 4) {
    const auto octet = [&](std::size_t at) { return static_cast<std::uint8_t>(input[at]); };
    const auto number = [&](std::size_t at) { return octet(at) + 256U * octet(at + 1); };
    const std::uint8_t how = octet(0);
    const bool stretches = (how & kStretches) != 0;
    const std::size_t header = stretches ? 7 : 4;
    if (input.size() < header) break;
    HostileFrame frame{octet(1), std::string(input.substr(header, number(2))),
                       how & std::size_t{kDescriptors}, (how & kLies) != 0};
    if (stretches) stretch(frame.payload, number(4), octet(6) * std::size_t{1024});
    if (ended || carried + frame.descriptors > Channel::kMaxDescriptors ||
        octets + kHeader + frame.payload.size() > Channel::kMaxPacket) {
      packets.emplace_back();
      carried = octets = 0;
    }
    carried += frame.descriptors;
    octets += kHeader + frame.payload.size();
    packets.back().lies = frame.lies || frame.payload.size() > Channel::kMaxPayload;
    ended = packets.back().lies || (how & kEndsPacket) != 0;
    packets.back().frames.push_back(std::move(frame));
    input.remove_prefix(std::min(input.size(), header + number(2)));
  }
  return packets;
}

// An input, or a part of one, that holds this message.
template <class Message>
std::string hostile_input(const Message& message, std::uint8_t how = kEndsPacket) {
  const std::string payload = encode(message);
  std::string input;
  for (const std::size_t octet : {std::size_t{how}, static_cast<std::size_t>(Message::kType),
                                  payload.size() % 256, payload.size() / 256}) {
    input += static_cast<char>(octet);
  }
  return input + payload;
}

// The same, of a message whose last field is a string of `size` octets, and `more` KiB more of it.
template <class Message>
std::string hostile_long_input(const Message& message, std::size_t size, std::size_t more) {
  std::string input = hostile_input(message, kEndsPacket | kStretches);
  const std::size_t where = encode(message).size() - size - sizeof(std::uint32_t);
  input.insert(
      4, {static_cast<char>(where % 256), static_cast<char>(where / 256), static_cast<char>(more)});
  return input;
}

// Writes `octets` as one packet with so many copies of `descriptor`.
inline void send_raw(int socket, std::string_view octets, std::size_t descriptors, int descriptor) {
  iovec data{const_cast<char*>(octets.data()), octets.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  constexpr std::size_t kMost = Channel::kMaxDescriptors;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMost * sizeof(int))> control{};
  must(descriptors <= kMost);
  if (descriptors > 0) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors * sizeof(int));
    for (std::size_t i = 0; i < descriptors; ++i) {
      std::memcpy(CMSG_DATA(rights) + i * sizeof(int), &descriptor, sizeof descriptor);
    }
  }
  must(::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) ==
       static_cast<ssize_t>(octets.size()));
}

inline void send_packet(int socket, const HostilePacket& packet, int descriptor) {
  std::string octets;
  std::size_t descriptors = 0;
  for (const HostileFrame& frame : packet.frames) {
    const auto count = static_cast<std::uint16_t>(frame.descriptors);
    const auto length = static_cast<std::uint32_t>(frame.payload.size() + (frame.lies ? 1 : 0));
    const auto append = [&octets](auto number) {
      octets.append(reinterpret_cast<const char*>(&number), sizeof number);
    };
    append(frame.type);
    append(count);
    append(length);
    octets += frame.payload;
    descriptors += frame.descriptors;
  }
  send_raw(socket, octets, descriptors, descriptor);
}

}  // namespace lmtpd::testing
