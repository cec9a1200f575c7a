#include "lmtpd/master/mailbox_maker.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <functional>

#include "tests/maildir/mail_base.h"

namespace lmtpd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::kAlice;
using testing::kBob;
using testing::kRoot;
using testing::mailbox_path;

class MailboxMakerTest : public testing::MailBase {
 protected:
  // "made", or why not.
  [[nodiscard]] std::string make(const std::string& path, MailboxOwner owner) const {
    const Result<void> made = make_mailbox(open_base().get(), mailbox_path(path), owner);
    if (made) return "made";
    return (made.error().reason == Reason::no_access ? "no_access: " : "other: ") +
           made.error().text;
  }
  static std::string refusal(const std::string& path, const std::string& parent,
                             const std::string& of) {
    return "no_access: mailbox " + path + " of uid 61002 is missing, and is not made in " + parent +
           ", which belongs to " + of + ": make it by hand, or give " + parent +
           " to root with a mode that lets no one else write";
  }
};

TEST_F(MailboxMakerTest, MakesTheMailboxItsOwnersAndAllAboveItRoots) {
  ::umask(0077);
  EXPECT_EQ(make("domain.org/mails/bob", kBob), "made");
  for (const char* parent : {"domain.org", "domain.org/mails"}) {
    EXPECT_EQ(mode(parent), 0711U);
    EXPECT_EQ(status(parent).st_uid, 0U);
    EXPECT_EQ(status(parent).st_gid, 0U);
  }
  EXPECT_EQ(mode("domain.org/mails/bob"), 0700U);
  EXPECT_EQ(status("domain.org/mails/bob").st_uid, kBob.uid.value());
  EXPECT_EQ(status("domain.org/mails/bob").st_gid, kBob.gid.value());
  EXPECT_THAT(list("domain.org/mails"), ElementsAre("bob")) << "no temporary name stays";
  EXPECT_EQ(::umask(0077), 0077U) << "the umask is as it was";
}

TEST_F(MailboxMakerTest, TwoUidsShareADomain) {
  EXPECT_EQ(make("domain.org/bob", kBob), "made");
  EXPECT_EQ(make("domain.org/alice", kAlice), "made");
  EXPECT_EQ(status("domain.org/alice").st_uid, kAlice.uid.value());
}

TEST_F(MailboxMakerTest, MakesOneAtTheTop) {
  EXPECT_EQ(make("bob", kBob), "made");
  EXPECT_EQ(mode("bob"), 0700U);
}

TEST_F(MailboxMakerTest, GivesNothingOfASetgidParentOn) {
  make_root_directory("domain.org", 02755);
  ASSERT_EQ(::chown(at("domain.org").c_str(), 0, kAlice.gid.value()), 0);
  ASSERT_EQ(::chmod(at("domain.org").c_str(), 02755), 0);
  EXPECT_EQ(make("domain.org/mails/bob", kBob), "made");
  EXPECT_EQ(mode("domain.org/mails"), 0711U);
  EXPECT_EQ(status("domain.org/mails").st_gid, 0U);
  EXPECT_EQ(mode("domain.org/mails/bob"), 0700U);
  EXPECT_EQ(status("domain.org/mails/bob").st_gid, kBob.gid.value());
}

TEST_F(MailboxMakerTest, TakesAMailboxOfThatOwnerAsMade) {
  make_directory("bob", 0750, kBob);
  EXPECT_EQ(make("bob", kBob), "made");
  EXPECT_EQ(mode("bob"), 0750U) << "and leaves it alone";
  make_directory("alice", 0700, kAlice);
  EXPECT_EQ(make("alice", kBob),
            "no_access: mailbox alice of uid 61002 is there already and belongs to uid 61001");
}

TEST_F(MailboxMakerTest, RefusesAParentOfAUsers) {
  make_directory("alice", 0755, kAlice);
  EXPECT_EQ(make("alice/bob", kBob), refusal("alice/bob", "alice", "uid 61001 and has mode 0755"));
  EXPECT_EQ(make("alice/sub/bob", kBob),
            refusal("alice/sub/bob", "alice", "uid 61001 and has mode 0755"));
  EXPECT_THAT(list("alice"), IsEmpty());
}

TEST_F(MailboxMakerTest, RefusesAParentThatOthersCanWrite) {
  make_root_directory("group", 0775);
  make_root_directory("all", 01777);
  EXPECT_EQ(make("group/bob", kBob), refusal("group/bob", "group", "uid 0 and has mode 0775"));
  EXPECT_EQ(make("all/bob", kBob), refusal("all/bob", "all", "uid 0 and has mode 1777"));
  ASSERT_EQ(::chmod(at("").c_str(), 0775), 0);
  EXPECT_EQ(make("bob", kBob), refusal("bob", "virtual_mailbox_base", "uid 0 and has mode 0775"));
}

TEST_F(MailboxMakerTest, FollowsNoSymbolicLink) {
  make_root_directory("domain.org");
  std::filesystem::create_directory_symlink("domain.org", at("alias.org"));
  std::filesystem::create_directory_symlink("/tmp", at("out.org"));
  std::filesystem::create_directory_symlink("nothing", at("domain.org/bob"));
  const std::string said = " is a symbolic link or no directory: no mailbox is made through it";
  EXPECT_EQ(make("alias.org/bob", kBob), "no_access: alias.org" + said);
  EXPECT_EQ(make("out.org/bob", kBob), "no_access: out.org" + said);
  EXPECT_EQ(make("domain.org/bob", kBob), "no_access: domain.org/bob" + said);
  std::ofstream(at("file")) << "x";
  EXPECT_EQ(make("file/bob", kBob), "no_access: file" + said);
}

TEST_F(MailboxMakerTest, MakesNoneForRoot) {
  EXPECT_EQ(make("root", MailboxOwner{Uid(0), Gid(5)}),
            "no_access: mailbox root: none is made for uid 0, gid 5");
  EXPECT_EQ(make("root", MailboxOwner{Uid(5), Gid(0)}),
            "no_access: mailbox root: none is made for uid 5, gid 0");
}

TEST_F(MailboxMakerTest, ServesRivalsForOneMailbox) {
  constexpr int kRounds = 50;
  for (int round = 0; round < kRounds; ++round) {
    const std::string path = "d" + std::to_string(round) + "/mails/bob";
    const auto rival = begin_as_owner(kRoot, [&] { return make(path, kBob); });
    const std::string second = as_owner(kRoot, [&] { return make(path, kBob); });
    const std::string first = rival();
    ASSERT_EQ(first, "made");
    ASSERT_EQ(second, "made");
    EXPECT_EQ(status(path).st_uid, kBob.uid.value());
    EXPECT_THAT(list("d" + std::to_string(round) + "/mails"), ElementsAre("bob"));
  }
}

// What a helper has left that was killed before it renamed the mailbox into place.
std::string unfinished(std::string_view name) {
  return fmt::format(".lmtpd.{:016x}", std::hash<std::string_view>{}(name));
}

TEST_F(MailboxMakerTest, TakesUpWhatAHelperThatDiedHasLeft) {
  make_root_directory(unfinished("bob"), 0700);
  EXPECT_EQ(make("bob", kBob), "made");
  make_directory(unfinished("alice"), 0755, kAlice);
  EXPECT_EQ(make("alice", kAlice), "made");
  EXPECT_THAT(list(""), ElementsAre("alice", "bob"));
  EXPECT_EQ(status("bob").st_uid, kBob.uid.value());
  EXPECT_EQ(mode("alice"), 0700U);
}

TEST_F(MailboxMakerTest, TakesUpNothingOfAnotherUsers) {
  make_directory(unfinished("bob"), 0700, kAlice);
  std::ofstream(at(unfinished("bob") + "/file")) << "alice's";
  const std::string refused =
      "no_access: mailbox bob of uid 61002 is not made: " + unfinished("bob") +
      " beside it belongs to uid 61001";
  EXPECT_EQ(make("bob", kBob), refused);
  ASSERT_EQ(::unlink(at(unfinished("bob") + "/file").c_str()), 0);
  EXPECT_EQ(make("bob", kBob), refused);
  EXPECT_EQ(make("bob", kBob), "made") << "an empty one is out of the way after that";
}

TEST_F(MailboxMakerTest, FollowsNoSymbolicLinkInThePlaceOfAnUnfinishedOne) {
  make_directory("elsewhere", 0700, kBob);
  std::filesystem::create_directory_symlink("elsewhere", at(unfinished("bob")));
  EXPECT_THAT(make("bob", kBob), ::testing::HasSubstr("is a symbolic link or no directory"));
  EXPECT_THAT(list(""), ElementsAre(unfinished("bob"), "elsewhere"));
}

TEST_F(MailboxMakerTest, SaysWhenTheDiskIsFull) {
  make_root_directory("full");
  mount("tmpfs", "full", "nr_inodes=2,mode=0755");
  EXPECT_EQ(make("full/mails/alice", kAlice),
            "other: mkdir full/mails/alice: No space left on device");
}

}  // namespace
}  // namespace lmtpd
