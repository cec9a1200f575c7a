// What is missing of a mailbox, and who makes it.

#include "maildir/mailbox.h"

#include <gmock/gmock.h>

#include "tests/maildir/mail_base.h"
#include "tests/maildir/recorded_calls.h"

namespace lmtpd::maildir {
namespace {

using ::testing::ElementsAre;
using testing::kAlice;
using testing::kBob;
using testing::mailbox_path;

class MailboxTest : public testing::MailBase {
 protected:
  // "open", "missing", or why not.
  [[nodiscard]] std::string open_as(MailboxOwner owner, const std::string& path) const {
    return as_owner(owner, [&]() -> std::string {
      const auto opened = open_mailbox(open_base().get(), mailbox_path(path));
      if (!opened) return testing::as_text(opened.error().reason) + ": " + opened.error().text;
      return *opened ? "open" : "missing";
    });
  }
};

TEST_F(MailboxTest, MakesWhatIsMissingInsideAMailbox) {
  make_directory("bob", 0700, kBob);
  EXPECT_EQ(open_as(kBob, "bob"), "open");
  EXPECT_THAT(list("bob"), ElementsAre("cur", "new", "tmp"));
  for (const char* name : {"bob/cur", "bob/new", "bob/tmp"}) {
    EXPECT_EQ(mode(name), 0700U);
    EXPECT_EQ(status(name).st_uid, kBob.uid.value());
    ASSERT_EQ(::rmdir(at(name).c_str()), 0);
    EXPECT_EQ(open_as(kBob, "bob"), "open") << "without " << name;
    EXPECT_THAT(list("bob"), ElementsAre("cur", "new", "tmp"));
  }
}

TEST_F(MailboxTest, AsksForAMailboxBelowRootsDirectories) {
  make_root_directory("domain.org");
  EXPECT_EQ(open_as(kBob, "domain.org/mails/bob"), "missing");
  EXPECT_EQ(open_as(kBob, "domain.org/bob"), "missing");
  EXPECT_EQ(open_as(kBob, "bob"), "missing");
  EXPECT_THAT(list("domain.org"), ElementsAre());
}

TEST_F(MailboxTest, MakesTheRestBelowADirectoryOfItsOwn) {
  make_root_directory("home");
  make_directory("home/bob", 0750, kBob);
  EXPECT_EQ(open_as(kBob, "home/bob/mail/inbox"), "open");
  EXPECT_THAT(list("home/bob/mail/inbox"), ElementsAre("cur", "new", "tmp"));
  EXPECT_EQ(mode("home/bob/mail"), 0700U);
  EXPECT_EQ(mode("home/bob/mail/inbox"), 0700U);
  EXPECT_EQ(status("home/bob/mail/inbox").st_uid, kBob.uid.value());
}

TEST_F(MailboxTest, MakesAllBelowABaseOfItsOwn) {
  ASSERT_EQ(::chown(at("").c_str(), kBob.uid.value(), kBob.gid.value()), 0);
  EXPECT_EQ(open_as(kBob, "domain.org/bob"), "open");
  EXPECT_EQ(mode("domain.org"), 0700U);
}

TEST_F(MailboxTest, MakesNothingBelowADirectoryOfAnothers) {
  make_directory("alice", 0777, kAlice);
  EXPECT_EQ(open_as(kBob, "alice/bob"), "missing") << "master's helper says why not";
  EXPECT_THAT(list("alice"), ElementsAre());
  make_directory("alice/mail", 0755, kAlice);
  EXPECT_EQ(open_as(kBob, "alice/mail"), "no_access: mkdir alice/mail/tmp: Permission denied");
}

TEST_F(MailboxTest, DoesNotMakeWhatASymbolicLinkToNothingNames) {
  make_directory("bob", 0700, kBob);
  std::filesystem::create_directory_symlink("../nothing", at("bob/mail"));
  EXPECT_EQ(
      open_as(kBob, "bob/mail"),
      "no_access: bob/mail is missing though its name is taken (a symbolic link to nothing?)");
  std::filesystem::create_directory_symlink("nothing", at("bob/new"));
  EXPECT_EQ(open_as(kBob, "bob"),
            "no_access: bob/new is missing though its name is taken (a symbolic link to nothing?)");
}

}  // namespace
}  // namespace lmtpd::maildir
