#include "lmtpd/base/wire.h"

#include <gtest/gtest.h>

#include "lmtpd/base/channel.h"
#include "lmtpd/base/messages.h"
#include "lmtpd/base/sasl.h"

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

// How many octets a field may have: what `payload_with` puts there decodes up to then.
template <class Message>
std::size_t longest(std::string (*payload_with)(std::string_view octets)) {
  const std::string octets(10'000, 'x');
  std::size_t size = 0;
  while (size < octets.size() &&
         decode<Message>(payload_with(std::string_view(octets).substr(0, size + 1)))) {
    ++size;
  }
  return size;
}

// As one writes them that cuts no text.
template <class... Fields>
std::string raw(const Fields&... fields) {
  std::string payload;
  WireWriter writer(payload);
  writer(fields...);
  return payload;
}

TEST(Wire, RefusesAFieldThatIsLongerThanItMayBe) {
  using View = std::string_view;
  EXPECT_EQ(longest<Resolve>([](View v) { return encode(Resolve{.address = v}); }),
            kLongestAddress);
  EXPECT_EQ(longest<WantWorker>([](View v) { return encode(WantWorker{v}); }), kLongestTicket);
  EXPECT_EQ(longest<MakeMailbox>([](View v) { return encode(MakeMailbox{.ticket = v}); }),
            kLongestTicket);
  EXPECT_EQ(longest<Authenticate>([](View v) { return encode(Authenticate{.address = v}); }),
            kLongestClientAddress);
  EXPECT_EQ(longest<Authenticate>([](View v) { return encode(Authenticate{.mechanism = v}); }),
            kLongestMechanism);
  EXPECT_EQ(longest<Authenticate>([](View v) { return encode(Authenticate{.response = v}); }),
            kLongestSaslMessage);
  EXPECT_EQ(longest<AuthResponse>([](View v) { return encode(AuthResponse{.response = v}); }),
            kLongestSaslMessage);
  EXPECT_EQ(longest<AuthStep>([](View v) { return encode(AuthStep{.text = v}); }),
            kLongestSaslMessage);
  EXPECT_EQ(longest<Resolved>([](View v) {
              return raw(std::uint64_t{1}, std::vector<Target>(), Reason::io, v, false);
            }),
            kLongestText);
  EXPECT_EQ(longest<Outcome>([](View v) { return raw(std::uint64_t{1}, false, Reason::io, v); }),
            kLongestText);
  EXPECT_EQ(
      longest<MailboxMade>([](View v) { return raw(std::uint64_t{1}, false, Reason::io, v); }),
      kLongestText);
  EXPECT_EQ(longest<WorkerRefused>([](View v) { return raw(MailboxOwner{}, Reason::io, v); }),
            kLongestText);
}

TEST(Wire, CutsATextThatIsLongerThanItMayBe) {
  const std::string text(Channel::kMaxPayload, 'x');
  const std::string payload = encode(Outcome{.id = 1, .text = text});
  const auto outcome = decode<Outcome>(payload);
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->text == std::string_view(text).substr(0, kLongestText));
}

}  // namespace
}  // namespace lmtpd
