#include "lmtpd/session/delivery.h"

#include <gtest/gtest.h>

#include <ctime>

namespace lmtpd::session {
namespace {

Recipient recipient(const std::string& address, const std::vector<std::string>& paths) {
  Recipient out;
  out.address = address;
  out.original = address;
  for (const std::string& path : paths)
    out.mailboxes.push_back({"ticket of " + path, path, address});
  return out;
}

TEST(Delivery, EqualPathsGetOneCopyWithTheFirstRecipientsAddresses) {
  const std::vector<Recipient> recipients{recipient("a", {"x", "y", "x"}),
                                          recipient("b", {"y", "z"})};
  const Delivery delivery(recipients);
  ASSERT_EQ(delivery.copies().size(), 3U);
  EXPECT_EQ(delivery.copies()[1].mailbox->path, "y");
  EXPECT_EQ(*delivery.copies()[1].original, "a");
  EXPECT_EQ(*delivery.copies()[2].original, "b");
  EXPECT_EQ(delivery.copies_of(0), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(delivery.copies_of(1), (std::vector<std::size_t>{1, 2}));
}

TEST(Delivery, ARecipientIsSettledWithTheLastOfItsCopies) {
  const std::vector<Recipient> recipients{recipient("a", {"x", "y"}), recipient("b", {"y"})};
  Delivery delivery(recipients);
  const Clock::time_point now{};
  EXPECT_TRUE(delivery.record(1, {}, now));
  EXPECT_FALSE(delivery.settled(0));
  EXPECT_TRUE(delivery.settled(1));
  EXPECT_TRUE(delivery.record(0, {}, now));
  EXPECT_TRUE(delivery.settled(0));
}

// Of a list of so many mailboxes each is looked at a few times, not as often as there are others.
TEST(Delivery, OneRecipientMayHaveVeryManyCopies) {
  constexpr std::size_t kMany = 100'000;
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < kMany; ++i) paths.push_back(std::to_string(i));
  const std::vector<Recipient> recipients{recipient("a", paths)};
  const std::clock_t begin = std::clock();
  Delivery delivery(recipients);
  for (std::size_t i = 0; i < kMany; ++i) {
    ASSERT_FALSE(delivery.settled(0));
    ASSERT_TRUE(delivery.record(i, {}, {}));
  }
  EXPECT_TRUE(delivery.settled(0));
  EXPECT_LT(std::clock() - begin, 2 * CLOCKS_PER_SEC);
}

TEST(Delivery, AnOutcomeCountsOnce) {
  const std::vector<Recipient> recipients{recipient("a", {"x"})};
  Delivery delivery(recipients);
  EXPECT_FALSE(delivery.record(1, {}, {}));
  EXPECT_TRUE(delivery.record(0, fail(Reason::io, ""), {}));
  EXPECT_FALSE(delivery.record(0, {}, {}));
  EXPECT_EQ(delivery.reply(0, kOk, false).code, 451);
}

int code(const std::vector<std::string>& paths, const std::vector<Result<void>>& outcomes,
         bool defer_over_quota = false) {
  const std::vector<Recipient> recipients{recipient("a", paths)};
  Delivery delivery(recipients);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    EXPECT_TRUE(delivery.record(i, outcomes[i], {}));
  }
  return delivery.reply(0, kOk, defer_over_quota).code;
}

TEST(Delivery, OneReplyForSeveralMailboxes) {
  const Result<void> stored;
  const Result<void> full = fail(Reason::over_quota, "");
  const Result<void> broken = fail(Reason::io, "");
  EXPECT_EQ(code({"x"}, {stored}), 250);
  EXPECT_EQ(code({"x"}, {full}), 552);
  EXPECT_EQ(code({"x"}, {full}, true), 452);
  EXPECT_EQ(code({"x", "y"}, {stored, stored}), 250);
  EXPECT_EQ(code({"x", "y"}, {stored, full}), 452);
  EXPECT_EQ(code({"x", "y"}, {full, full}), 452);
  EXPECT_EQ(code({"x", "y"}, {stored, broken}), 451);
  EXPECT_EQ(code({"x", "x"}, {full}), 552);  // one mailbox, named twice
}

TEST(Delivery, OfOneOfSeveralMailboxesNothingIsSaidThatBouncesTheMail) {
  const std::vector<Recipient> recipients{recipient("a", {"x", "y"}), recipient("b", {"y"})};
  Delivery delivery(recipients);
  EXPECT_TRUE(delivery.record(0, {}, {}));
  EXPECT_TRUE(delivery.record(1, fail(Reason::over_quota, ""), {}));
  EXPECT_EQ(delivery.reply_of_copy(0, 0, kOk, false).code, 250);
  EXPECT_EQ(delivery.reply_of_copy(0, 1, kOk, false).code, 452);
  EXPECT_EQ(delivery.reply_of_copy(1, 1, kOk, false).code, 552);
}

}  // namespace
}  // namespace lmtpd::session
