#include "lmtpd/base/wire.h"

#include <gtest/gtest.h>

#include "lmtpd/base/messages.h"

namespace lmtpd {
namespace {

Deliver example() {
  Deliver message;
  message.deliveries = {{1, "ticket one", "Return-Path: <>\n", 99}, {2, "ticket two", "", 7}};
  message.body = std::string_view("a\0b", 3);
  message.body_size = 3;
  message.alone = true;
  return message;
}

TEST(Wire, DecodesWhatWasEncoded) {
  const std::string payload = encode(example());
  const std::optional<Deliver> back = decode<Deliver>(payload);
  ASSERT_TRUE(back);
  ASSERT_EQ(back->deliveries.size(), 2U);
  EXPECT_EQ(back->deliveries[0].id, 1U);
  EXPECT_EQ(back->deliveries[0].ticket, "ticket one");
  EXPECT_EQ(back->deliveries[0].headers, "Return-Path: <>\n");
  EXPECT_EQ(back->deliveries[1].wire_size, 7U);
  EXPECT_EQ(back->body, std::string_view("a\0b", 3));
  EXPECT_EQ(back->body_size, 3U);
  EXPECT_TRUE(back->alone);
}

TEST(Wire, RefusesEveryOtherLength) {
  const std::string payload = encode(example());
  for (std::size_t length = 0; length < payload.size(); ++length) {
    EXPECT_FALSE(decode<Deliver>(std::string_view(payload).substr(0, length))) << length;
  }
  EXPECT_FALSE(decode<Deliver>(payload + '\0'));
}

TEST(Wire, RefusesACountThatTheOctetsCannotHold) {
  std::string payload;
  WireWriter writer(payload);
  writer(std::uint32_t{0xFFFFFFFF}, std::string_view("x"));
  EXPECT_FALSE(decode<Deliver>(payload));
}

TEST(Wire, RefusesAReasonOrABooleanOutOfRange) {
  std::string payload = encode(Outcome{.id = 1, .stored = true, .reason = kLastReason});
  ASSERT_TRUE(decode<Outcome>(payload));
  payload[sizeof(std::uint64_t)] = 2;
  EXPECT_FALSE(decode<Outcome>(payload));
  payload[sizeof(std::uint64_t)] = 0;
  ASSERT_TRUE(decode<Outcome>(payload));
  payload[sizeof(std::uint64_t) + 1] = static_cast<char>(static_cast<int>(kLastReason) + 1);
  EXPECT_FALSE(decode<Outcome>(payload));
}

}  // namespace
}  // namespace lmtpd
