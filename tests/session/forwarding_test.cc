#include "lmtpd/session/forwarding.h"

#include <gtest/gtest.h>

namespace lmtpd::session {
namespace {

TEST(Peer, NamesItselfForReceivedAndTheLog) {
  struct Named {
    Peer peer;
    std::string_view received;
    std::string_view log;
  };
  const Named cases[] = {
      {{}, "localhost", "unix"},
      {{"mx.example", "", 0}, "mx.example", "mx.example"},
      {{"", "192.0.2.1", 4711}, "[192.0.2.1]", "192.0.2.1:4711"},
      {{"", "2001:db8::1", 4711}, "[IPv6:2001:db8::1]", "[2001:db8::1]:4711"},
      {{"", "2001:db8::1", 0}, "[IPv6:2001:db8::1]", "[2001:db8::1]"},
      {{"mx.example", "192.0.2.1", 25}, "mx.example [192.0.2.1]", "mx.example[192.0.2.1]:25"},
      {{"mx.example", "2001:db8::1", 0},
       "mx.example [IPv6:2001:db8::1]",
       "mx.example[2001:db8::1]"},
      {{"unknown", "unknown", 0}, "unknown [unknown]", "unknown[unknown]"},
  };
  for (const Named& one : cases) {
    EXPECT_EQ(received_from(one.peer), one.received);
    EXPECT_EQ(log_name(one.peer), one.log);
  }
}

TEST(Xclient, TakesWhatItOffers) {
  const auto client =
      parse_xclient("name=mx-1.example addr=IPv6:2001:DB8:0:0::1 Port=0 proto=lmtp helo=+5Bx+5D");
  ASSERT_TRUE(client);
  EXPECT_EQ(client->name, "mx-1.example");
  EXPECT_EQ(client->address, "2001:db8::1");
  EXPECT_EQ(client->port, 0);
  EXPECT_EQ(client->helo, "[x]");
}

TEST(Xclient, LeavesOutWhatIsNotSaid) {
  const auto client = parse_xclient("PORT=25");
  ASSERT_TRUE(client);
  EXPECT_EQ(client->name, std::nullopt);
  EXPECT_EQ(client->address, std::nullopt);
  EXPECT_EQ(client->port, 25);
  EXPECT_EQ(client->helo, std::nullopt);
}

TEST(Xclient, RefusesWhatIsNoNameAddressPortOrProtocol) {
  for (const std::string& list : {std::string("NAME=192.0.2.1"),
                                  std::string("NAME=-a.example"),
                                  std::string("NAME=a..example"),
                                  std::string("NAME=a.example."),
                                  std::string("NAME=a+20b"),
                                  "NAME=" + std::string(64, 'a'),
                                  "HELO=" + std::string(256, 'a'),
                                  std::string("ADDR=mx.example"),
                                  std::string("ADDR=192.0.2"),
                                  std::string("ADDR=IPv6:192.0.2.1:1"),
                                  std::string("ADDR=[192.0.2.1]"),
                                  std::string("PORT=65536"),
                                  std::string("PORT=-1"),
                                  std::string("PORT=1x"),
                                  std::string("PROTO=QMTP"),
                                  std::string("LOGIN=user"),
                                  std::string("NAME"),
                                  std::string("NAME="),
                                  std::string("=x"),
                                  std::string("NAME=a=b")}) {
    const auto client = parse_xclient(list);
    ASSERT_FALSE(client) << list;
    EXPECT_EQ(client.error().code, 501) << list;
    EXPECT_EQ(client.error().enhanced, "5.5.4") << list;
  }
}

TEST(Xclient, AValueMayHave255Octets) {
  const std::string longest(255, 'a');
  const auto client = parse_xclient("HELO=" + longest);
  ASSERT_TRUE(client);
  EXPECT_EQ(client->helo, longest);
}

TEST(Xforward, AddsToWhatWasSaidBefore) {
  const auto first = parse_xforward("NAME=mx.example ADDR=192.0.2.1", {});
  ASSERT_TRUE(first);
  const auto second = parse_xforward("ADDR=IPv6:2001:db8::1 IDENT=4Z1X PROTO=ESMTP", *first);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->queue_id, "4Z1X");
  EXPECT_EQ(log_name(*second), "mx.example[2001:db8::1]");
  const auto third = parse_xforward("NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE]", *second);
  ASSERT_TRUE(third);
  EXPECT_EQ(third->queue_id, "4Z1X");
  EXPECT_EQ(log_name(*third), "");
}

TEST(Xforward, TheNameAloneWillDo) {
  EXPECT_EQ(log_name(Origin{"mx.example", "", ""}), "mx.example");
  EXPECT_EQ(log_name(Origin{"", "local", ""}), "unknown[local]");
}

TEST(Xforward, AProtocolHas64OctetsAtMost) {
  EXPECT_TRUE(parse_xforward("PROTO=" + std::string(64, 'P'), {}));
  EXPECT_FALSE(parse_xforward("PROTO=" + std::string(65, 'P'), {}));
}

}  // namespace
}  // namespace lmtpd::session
