#include "lmtpd/base/config/network_list.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>
#include <string>

namespace lmtpd {
namespace {

using testing::HasSubstr;

sockaddr_storage address(const char* text) {
  sockaddr_storage storage{};
  sockaddr_in inet{.sin_family = AF_INET};
  sockaddr_in6 inet6{.sin6_family = AF_INET6};
  if (::inet_pton(AF_INET, text, &inet.sin_addr) == 1) {
    std::memcpy(&storage, &inet, sizeof inet);
  } else if (::inet_pton(AF_INET6, text, &inet6.sin6_addr) == 1) {
    std::memcpy(&storage, &inet6, sizeof inet6);
  } else {
    storage.ss_family = AF_UNIX;
  }
  return storage;
}

bool matches(std::string_view list, const char* client) {
  const auto items = parse_network_list(list);
  EXPECT_TRUE(items) << items.error();
  const auto networks = NetworkList::make(items.value_or(MatchList{}));
  EXPECT_TRUE(networks) << networks.error().text;
  if (!networks) return false;
  EXPECT_EQ(networks->matches(std::string(client)), networks->matches(address(client))) << client;
  return networks->matches(address(client));
}

TEST(Networks, HoldWhatTheirPrefixSays) {
  EXPECT_TRUE(matches("192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(matches("192.0.2.1", "192.0.2.2"));
  EXPECT_TRUE(matches("192.0.2.0/25", "192.0.2.127"));
  EXPECT_FALSE(matches("192.0.2.0/25", "192.0.2.128"));
  EXPECT_TRUE(matches("0.0.0.0/0", "192.0.2.1"));
  EXPECT_TRUE(matches("[2001:db8::]/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(matches("[2001:db8::]/33", "2001:db8:8000::1"));
  EXPECT_TRUE(matches("[::1]", "::1"));
  EXPECT_FALSE(matches("[::1]", "::2"));
}

TEST(Networks, KeepTheFamiliesApartButForMappedAddresses) {
  EXPECT_FALSE(matches("0.0.0.0/0", "::1"));
  EXPECT_FALSE(matches("[::]/96", "192.0.2.1"));
  EXPECT_TRUE(matches("192.0.2.0/24", "::ffff:192.0.2.7"));
  EXPECT_TRUE(matches("[::ffff:192.0.2.0]/120", "192.0.2.7"));
}

TEST(Networks, TheFirstThatFitsDecides) {
  EXPECT_FALSE(matches("!192.0.2.1, 192.0.2.0/24", "192.0.2.1"));
  EXPECT_TRUE(matches("!192.0.2.1, 192.0.2.0/24", "192.0.2.2"));
  EXPECT_TRUE(matches("192.0.2.0/24 !192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(matches("!192.0.2.1", "192.0.2.2"));
  EXPECT_FALSE(matches("", "192.0.2.1"));
  EXPECT_FALSE(matches("0.0.0.0/0 [::]/0", "no internet address"));
}

TEST(Networks, RefusesWhatIsNone) {
  for (const char* junk : {"mx.example.org", "192.0.2", "192.0.2.1/33", "192.0.2.0/",
                           "192.0.2.0/-1", "[::]/129", "192.0.2.1/24", "[2001:db8::1]/32",
                           "2001:db8::1", "cidr:/a", "[]", "!", "192.0.2.0/24/24"}) {
    EXPECT_FALSE(parse_network_list(junk)) << junk;
  }
  EXPECT_THAT(parse_network_list("192.0.2.1/24").error(), HasSubstr("bits set behind"));
  EXPECT_THAT(parse_network_list("2001:db8::1").error(), HasSubstr("stands in brackets"));
}

TEST(Networks, FilesAreLeftToWhoCanReadThem) {
  const auto items = parse_network_list("!/etc/clients");
  ASSERT_TRUE(items);
  EXPECT_EQ(*items,
            (MatchList{{.kind = MatchItem::Kind::file, .negated = true, .name = "/etc/clients"}}));
  EXPECT_FALSE(NetworkList::make({{.name = "name.from.a.file"}}));
  EXPECT_FALSE(NetworkList::make(
      {{.kind = MatchItem::Kind::table, .table = {TableKind::text_file, "texthash", "/t"}}}));
}

}  // namespace
}  // namespace lmtpd
