#include "lmtpd/base/owner_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmtpd {
namespace {

using testing::HasSubstr;
using testing::Optional;

MailboxOwner owner(std::uint32_t uid, std::uint32_t gid) { return {Uid(uid), Gid(gid)}; }

TEST(OwnerPolicy, NeverRootNorNobodyWhateverTheFloor) {
  const OwnerPolicy policy(0);
  EXPECT_THAT(policy.refusal(owner(0, 1001)), Optional(HasSubstr("uid 0")));
  EXPECT_THAT(policy.refusal(owner(1001, 0)), Optional(HasSubstr("gid 0")));
  EXPECT_TRUE(policy.refusal(owner(UINT32_MAX, 1001)));
  EXPECT_TRUE(policy.refusal(owner(1001, UINT32_MAX)));
  EXPECT_TRUE(policy.refusal(MailboxOwner{}));
  EXPECT_FALSE(policy.refusal(owner(1, 1)));
}

TEST(OwnerPolicy, TheFloorIsForUidsOnly) {
  const OwnerPolicy policy(1000);
  EXPECT_THAT(policy.refusal(owner(999, 1000)), Optional(HasSubstr("virtual_minimum_uid = 1000")));
  // Group mail is 8 on Debian.
  EXPECT_FALSE(policy.refusal(owner(1000, 8)));
}

TEST(OwnerPolicy, ReservedIdsAreRefusedEachInItsOwnPlace) {
  OwnerPolicy policy(100);
  policy.refuse(Uid(200), "that of frontend_user");
  policy.refuse(Gid(300), "that of Postfix's setgid_group");
  EXPECT_EQ(policy.refusal(owner(200, 1001)), "uid 200 is that of frontend_user");
  EXPECT_EQ(policy.refusal(owner(1001, 300)), "gid 300 is that of Postfix's setgid_group");
  EXPECT_FALSE(policy.refusal(owner(300, 200)));
}

}  // namespace
}  // namespace lmtpd
