#include "lmtpd/base/types.h"

#include <gtest/gtest.h>

namespace lmtpd {
namespace {

TEST(MailboxPath, IsRelativeToTheBaseWithSlashesSqueezed) {
  EXPECT_EQ(MailboxPath::parse("domain.org/mails/user/")->value(), "domain.org/mails/user");
  EXPECT_EQ(MailboxPath::parse("/var/mail/abs/")->value(), "var/mail/abs");
  EXPECT_EQ(MailboxPath::parse("domain.org/mails/slash//")->value(), "domain.org/mails/slash");
  EXPECT_EQ(MailboxPath::parse("a/..b/...c/.d/")->value(), "a/..b/...c/.d");
}

TEST(MailboxPath, RefusesWhatIsNoMailboxBelowTheBase) {
  const std::string longest(4095, 'x');
  EXPECT_TRUE(MailboxPath::parse(longest + "/"));
  for (const std::string& value :
       {std::string(""), std::string("/"), std::string("///"), std::string("dummy"),
        std::string("a/b"), std::string("../"), std::string("a/../b/"),
        std::string("../../etc/evil/"), std::string("domain.org/../"), std::string("./"),
        std::string("a/./b/"), std::string("a\0b/", 4), longest + "x/"}) {
    const Result<MailboxPath> path = MailboxPath::parse(value);
    ASSERT_FALSE(path) << value;
    EXPECT_EQ(path.error().reason, Reason::bad_mailbox) << value;
  }
}

}  // namespace
}  // namespace lmtpd
