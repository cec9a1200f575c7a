#include "lmtpd/delivery/missing_mailboxes.h"

#include <gmock/gmock.h>

#include "tests/maildir/mail_base.h"

namespace lmtpd::delivery {
namespace {

using testing::mailbox_path;

constexpr Clock::time_point kNow{std::chrono::hours(1)};

Job job(std::uint64_t id, std::string_view path) {
  return Job{.link = 1, .id = id, .path = mailbox_path(path)};
}

std::vector<std::uint64_t> ids(const Jobs& jobs) {
  std::vector<std::uint64_t> list;
  for (const Job& held : jobs) list.push_back(held.id);
  return list;
}

TEST(MissingMailboxes, AskOnceForAMailbox) {
  MissingMailboxes missing;
  EXPECT_EQ(missing.add(job(1, "a"), kNow), 1U);
  EXPECT_EQ(missing.add(job(2, "b"), kNow), 2U);
  EXPECT_EQ(missing.add(job(3, "a"), kNow), std::nullopt);
  EXPECT_THAT(ids(missing.take(1)), ::testing::ElementsAre(1, 3));
  EXPECT_THAT(ids(missing.take(1)), ::testing::IsEmpty());
  EXPECT_TRUE(missing.is_number(1)) << "its answer may still come";
  EXPECT_FALSE(missing.is_number(0));
  EXPECT_FALSE(missing.is_number(3));
  EXPECT_EQ(missing.add(job(4, "a"), kNow), 3U);
}

TEST(MissingMailboxes, WaitNoLongerThanTheDeadline) {
  MissingMailboxes missing;
  EXPECT_EQ(missing.next_deadline(), std::nullopt);
  const auto second = kNow + std::chrono::seconds(1);
  EXPECT_TRUE(missing.add(job(1, "a"), kNow));
  EXPECT_TRUE(missing.add(job(2, "b"), second));
  EXPECT_EQ(missing.next_deadline(), kNow + MissingMailboxes::kDeadline);
  EXPECT_THAT(ids(missing.take_expired(second)), ::testing::IsEmpty());
  EXPECT_THAT(ids(missing.take_expired(kNow + MissingMailboxes::kDeadline)),
              ::testing::ElementsAre(1));
  EXPECT_EQ(missing.next_deadline(), second + MissingMailboxes::kDeadline);
  EXPECT_THAT(ids(missing.take_all()), ::testing::ElementsAre(2));
  EXPECT_TRUE(missing.empty());
}

}  // namespace
}  // namespace lmtpd::delivery
