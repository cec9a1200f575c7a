#include "lmtpd/base/internet_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace lmtpd {
namespace {

TEST(InternetAddress, ANormalFormForBothFamilies) {
  EXPECT_EQ(normal_internet_address("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(normal_internet_address("2001:DB8:0::1"), "2001:db8::1");
  EXPECT_EQ(normal_internet_address("::FFFF:192.0.2.1"), "192.0.2.1");
  for (const char* text : {"", "192.0.2", "192.0.2.300", "[2001:db8::1]", "fe80::1%lo", "::1 "}) {
    EXPECT_EQ(normal_internet_address(text), std::nullopt) << text;
  }
}

TEST(InternetAddress, OfASocketsAddress) {
  sockaddr_storage storage{};
  EXPECT_FALSE(internet_address(storage));
  storage.ss_family = AF_UNIX;
  EXPECT_FALSE(internet_address(storage));
  auto& inet = reinterpret_cast<sockaddr_in&>(storage);
  inet.sin_family = AF_INET;
  inet.sin_port = htons(4711);
  inet.sin_addr.s_addr = htonl(0xC0000201);
  ASSERT_TRUE(internet_address(storage));
  EXPECT_EQ(internet_address(storage)->host, "192.0.2.1");
  EXPECT_EQ(internet_address(storage)->port, 4711);
  storage = {};
  auto& inet6 = reinterpret_cast<sockaddr_in6&>(storage);
  inet6.sin6_family = AF_INET6;
  inet6.sin6_addr = in6addr_loopback;
  ASSERT_TRUE(internet_address(storage));
  EXPECT_EQ(internet_address(storage)->host, "::1");
  ASSERT_EQ(::inet_pton(AF_INET6, "::ffff:192.0.2.1", &inet6.sin6_addr), 1);
  EXPECT_EQ(internet_address(storage)->host, "192.0.2.1");
}

TEST(ClientNetwork, IsAHostOfIpv4AndA64OfIpv6) {
  EXPECT_EQ(client_network("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(client_network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(client_network("::ffff:192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(client_network("unix"), "unix");
}

}  // namespace
}  // namespace lmtpd
