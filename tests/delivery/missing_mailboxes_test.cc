#include "lmtpd/delivery/missing_mailboxes.h"

#include <gmock/gmock.h>

#include "tests/maildir/mail_base.h"

namespace lmtpd::delivery {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::mailbox_path;
using ::testing::SizeIs;

constexpr Clock::time_point kNow{std::chrono::hours(1)};

Job job(std::uint64_t id, std::string_view path) {
  return Job{.link = 1, .id = id, .path = mailbox_path(path)};
}

std::vector<std::uint64_t> ids(const Jobs& jobs) {
  std::vector<std::uint64_t> list;
  for (const Job& held : jobs) list.push_back(held.id);
  return list;
}

// Numbers of the requests that may be sent now.
std::vector<std::uint64_t> asked(MissingMailboxes& missing) {
  std::vector<std::uint64_t> numbers;
  while (const auto request = missing.next()) numbers.push_back(request->id);
  return numbers;
}

TEST(MissingMailboxes, AskOnceForAMailbox) {
  MissingMailboxes missing;
  missing.add(job(1, "a"), kNow);
  missing.add(job(2, "b"), kNow);
  EXPECT_THAT(asked(missing), ElementsAre(1, 2));
  missing.add(job(3, "a"), kNow);
  EXPECT_THAT(asked(missing), IsEmpty());
  EXPECT_TRUE(missing.is_asked(1));
  EXPECT_THAT(ids(missing.take_answered(1)), ElementsAre(1, 3));
  EXPECT_FALSE(missing.is_asked(1));
  EXPECT_FALSE(missing.is_asked(3));
  missing.add(job(4, "a"), kNow);
  EXPECT_THAT(asked(missing), ElementsAre(3));
}

TEST(MissingMailboxes, AskForNoMoreThanMasterTakes) {
  MissingMailboxes missing;
  for (std::uint64_t id = 1; id <= kDeliveryWindow + 2; ++id) {
    missing.add(job(id, "m" + std::to_string(id)), kNow);
  }
  EXPECT_THAT(asked(missing), SizeIs(kDeliveryWindow));
  const auto expired = missing.take_expired(kNow + MissingMailboxes::kDeadline);
  EXPECT_THAT(expired, SizeIs(kDeliveryWindow + 2));
  missing.add(job(1, "late"), kNow);
  EXPECT_THAT(asked(missing), IsEmpty()) << "master has those still";
  EXPECT_THAT(ids(missing.take_answered(1)), IsEmpty());
  EXPECT_THAT(asked(missing), ElementsAre(kDeliveryWindow + 3));
}

TEST(MissingMailboxes, WaitNoLongerThanTheDeadline) {
  MissingMailboxes missing;
  EXPECT_EQ(missing.next_deadline(), std::nullopt);
  const auto second = kNow + std::chrono::seconds(1);
  missing.add(job(1, "a"), kNow);
  missing.add(job(2, "b"), second);
  EXPECT_EQ(missing.next_deadline(), kNow + MissingMailboxes::kDeadline);
  EXPECT_THAT(ids(missing.take_expired(second)), IsEmpty());
  EXPECT_THAT(ids(missing.take_expired(kNow + MissingMailboxes::kDeadline)), ElementsAre(1));
  EXPECT_EQ(missing.next_deadline(), second + MissingMailboxes::kDeadline);
  EXPECT_THAT(ids(missing.take_all()), ElementsAre(2));
  EXPECT_TRUE(missing.empty());
}

}  // namespace
}  // namespace lmtpd::delivery
