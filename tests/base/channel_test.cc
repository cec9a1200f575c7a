#include "lmtpd/base/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <array>

#include "lmtpd/base/messages.h"

namespace lmtpd {
namespace {

using Status = Channel::Status;

UniqueFd memory_file(std::string_view text) {
  UniqueFd fd(::memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return fd;
}

std::string content(const UniqueFd& fd) {
  std::array<char, 64> octets{};
  const ssize_t size = ::pread(fd.get(), octets.data(), octets.size(), 0);
  return {octets.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

int open_descriptors() {
  int count = 0;
  for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

class Channels : public testing::Test {
 protected:
  std::optional<std::pair<UniqueFd, UniqueFd>> pair_ = make_channel_pair();
  Channel near_{std::move(pair_->first)};
  Channel far_{std::move(pair_->second)};
  Packet packet_;
};

TEST_F(Channels, CarryMessagesWithTheirDescriptorsInOnePacket) {
  std::vector<UniqueFd> first;
  first.push_back(memory_file("one"));
  std::vector<UniqueFd> second;
  second.push_back(memory_file("two"));
  near_.send(File{"/etc/one"}, std::move(first));
  near_.send(Start{});
  near_.send(File{"/etc/two"}, std::move(second));
  ASSERT_EQ(near_.flush(), Status::ok);

  ASSERT_EQ(far_.receive(packet_), Status::ok);
  ASSERT_EQ(packet_.frames().size(), 3U);
  EXPECT_EQ(decode<File>(packet_.frames()[0].payload)->path, "/etc/one");
  EXPECT_EQ(content(packet_.frames()[0].descriptors[0]), "one");
  EXPECT_TRUE(packet_.frames()[1].descriptors.empty());
  EXPECT_EQ(content(packet_.frames()[2].descriptors[0]), "two");
  EXPECT_EQ(::fcntl(packet_.frames()[2].descriptors[0].get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(far_.receive(packet_), Status::would_block);
}

TEST_F(Channels, SplitWhatOnePacketCannotHoldAndKeepTheOrder) {
  const std::string body(kInlineBody, 'x');
  for (std::uint64_t i = 0; i < 5; ++i) near_.send(Deliver{{{i, "", "", 0}}, body, body.size()});
  std::uint64_t next = 0;
  while (near_.has_unsent()) {
    ASSERT_NE(near_.flush(), Status::closed);
    while (far_.receive(packet_) == Status::ok) {
      for (const Frame& frame : packet_.frames()) {
        EXPECT_EQ(decode<Deliver>(frame.payload)->deliveries[0].id, next++);
      }
    }
  }
  EXPECT_EQ(next, 5U);
}

TEST_F(Channels, BlockRatherThanLoseWhenThePeerDoesNotRead) {
  const std::string body(kInlineBody, 'x');
  std::uint64_t sent = 0;
  while (near_.flush() == Status::ok) near_.send(Deliver{{{sent++, "", "", 0}}, body, body.size()});
  EXPECT_TRUE(near_.has_unsent());
  std::uint64_t received = 0;
  do {
    while (far_.receive(packet_) == Status::ok) received += packet_.frames().size();
  } while (near_.flush() != Status::ok || received < sent);
  EXPECT_EQ(received, sent);
}

TEST_F(Channels, AreClosedWhenThePeerIs) {
  {
    const Channel gone = std::move(near_);
  }
  EXPECT_EQ(far_.receive(packet_), Status::closed);
  far_.send(Stop{});
  EXPECT_EQ(far_.flush(), Status::closed);
}

TEST_F(Channels, RefuseMalformedPacketsAndKeepNoDescriptor) {
  const int before = open_descriptors();
  struct Raw {
    std::uint16_t type, descriptors;
    std::uint32_t length;
  };
  // Too short for a header; a payload longer than the packet; a descriptor that is not there.
  const Raw longer{1, 0, 1};
  const Raw missing{1, 1, 0};
  for (const std::string_view octets :
       {std::string_view("abc"),
        std::string_view(reinterpret_cast<const char*>(&longer), sizeof longer),
        std::string_view(reinterpret_cast<const char*>(&missing), sizeof missing)}) {
    ASSERT_GT(::send(near_.fd(), octets.data(), octets.size(), 0), 0);
    EXPECT_EQ(far_.receive(packet_), Status::closed);
  }
  {
    // A descriptor that no message claims.
    const Raw plain{1, 0, 0};
    const UniqueFd extra = memory_file("extra");
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec data{const_cast<Raw*>(&plain), sizeof plain};
    msghdr header{nullptr, 0, &data, 1, control.data(), control.size(), 0};
    CMSG_FIRSTHDR(&header)->cmsg_level = SOL_SOCKET;
    CMSG_FIRSTHDR(&header)->cmsg_type = SCM_RIGHTS;
    CMSG_FIRSTHDR(&header)->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = extra.get();
    std::memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), &fd, sizeof fd);
    ASSERT_GT(::sendmsg(near_.fd(), &header, 0), 0);
    EXPECT_EQ(far_.receive(packet_), Status::closed);
  }
  packet_ = Packet();
  EXPECT_EQ(open_descriptors(), before);
}

// What a role could not send itself, it would not repeat to another either.
TEST_F(Channels, RefuseAMessageThatIsLongerThanOneMayBe) {
  struct {
    std::uint16_t type = 1, descriptors = 0;
    std::uint32_t length = 0;
  } header;
  for (const std::size_t length : {Channel::kMaxPayload, Channel::kMaxPayload + 1}) {
    header.length = static_cast<std::uint32_t>(length);
    std::string octets(reinterpret_cast<const char*>(&header), sizeof header);
    octets.append(length, 'x');
    ASSERT_GT(::send(near_.fd(), octets.data(), octets.size(), 0), 0);
    EXPECT_EQ(far_.receive(packet_), length > Channel::kMaxPayload ? Status::closed : Status::ok);
  }
}

TEST_F(Channels, RefuseAPacketThatWasTruncated) {
  const std::string large(Channel::kMaxPacket + 1, 'x');
  ASSERT_EQ(::send(near_.fd(), large.data(), large.size(), 0), static_cast<ssize_t>(large.size()));
  EXPECT_EQ(far_.receive(packet_), Status::closed);
}

}  // namespace
}  // namespace lmtpd
