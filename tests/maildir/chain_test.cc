#include "maildir/chain.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "maildir/delivery.h"
#include "tests/maildir/mail_base.h"
#include "tests/maildir/recorded_calls.h"

namespace lmtpd::maildir {
namespace {

using ::testing::AllOf;
using testing::as_text;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kAlice;
using testing::kBob;
using testing::kRoot;
using testing::mailbox_path;
using ::testing::Not;
using testing::RecordedCalls;
using ::testing::StartsWith;

TEST(SyncedChains, AMailboxNeedsItsChainSyncedForAMinute) {
  const SyncedChains chains;
  const MailboxState mailbox{{1, 2}, {1000, 500}};
  EXPECT_TRUE(chains.need_sync(mailbox, {1000, 600}));
  EXPECT_TRUE(chains.need_sync(mailbox, {1059, 0}));
  EXPECT_FALSE(chains.need_sync(mailbox, {1060, 0}));
  EXPECT_TRUE(chains.need_sync(mailbox, {900, 0})) << "the clock was set back";
}

TEST(SyncedChains, ABusyNewMailboxPaysOnce) {
  SyncedChains chains;
  MailboxState mailbox{{1, 2}, {1000, 500}};
  chains.remember(mailbox, {1001, 0});
  EXPECT_FALSE(chains.need_sync(mailbox, {1002, 0}));
  EXPECT_TRUE(chains.need_sync({{1, 3}, mailbox.ctime}, {1002, 0}));
  mailbox.ctime.tv_nsec += 1;
  EXPECT_TRUE(chains.need_sync(mailbox, {1002, 0})) << "something was made or moved since";
}

TEST(SyncedChains, IsNotFooledByASecondChangeInTheSameTick) {
  SyncedChains chains;
  const MailboxState mailbox{{1, 2}, {1000, 500}};
  chains.remember(mailbox, {1000, 1'000'000});
  EXPECT_TRUE(chains.need_sync(mailbox, {1000, 2'000'000}));
}

TEST(SyncedChains, IsBounded) {
  SyncedChains chains;
  for (ino_t inode = 0; inode < 100'000; ++inode)
    chains.remember({{1, inode}, {1000, 0}}, {1001, 0});
  std::size_t remembered = 0;
  for (ino_t inode = 0; inode < 100'000; ++inode) {
    remembered += chains.need_sync({{1, inode}, {1000, 0}}, {1002, 0}) ? 0 : 1;
  }
  EXPECT_GT(remembered, 0U);
  EXPECT_LE(remembered, 4096U);
}

class ChainTest : public testing::MailBase {
 protected:
  void SetUp() override {
    MailBase::SetUp();
    if (!IsSkipped()) calls_.emplace(at("").substr(0, at("").size() - 1));
  }
  // The outcomes of a group, and the syncs of directories and file systems it made, as `owner`.
  [[nodiscard]] std::string syncs_of(MailboxOwner owner,
                                     const std::vector<std::string>& paths) const {
    return as_owner(owner, [&] {
      Deliverer to =
          Deliverer::open(open_base(), {.host = "mx", .calls = RecordedCalls::table()}).value();
      std::vector<MailboxPath> parsed;
      for (const std::string& path : paths) parsed.push_back(mailbox_path(path));
      std::vector<Delivery> group;
      for (const MailboxPath& path : parsed) {
        group.push_back({.path = &path, .body = "x", .body_size = 1});
      }
      std::string told;
      for (const Outcome& outcome : to.deliver(group)) told += as_text(outcome) + "\n";
      for (const std::string& call : RecordedCalls::take()) {
        const bool of_file = call.ends_with("*");
        if (!of_file && (call.starts_with("fsync") || call.starts_with("syncfs")))
          told += call + "\n";
        if (call.starts_with("link")) told += "published\n";
      }
      return told;
    });
  }

 private:
  std::optional<RecordedCalls> calls_;
};

TEST_F(ChainTest, IsSyncedUpToTheBaseBeforeMailIsPublished) {
  make_root_directory("domain.org");
  make_root_directory("domain.org/mails");
  make_maildir("domain.org/mails/bob", kRoot);
  EXPECT_EQ(syncs_of(kRoot, {"domain.org/mails/bob"}),
            "stored\n"
            "fsync domain.org/mails/bob\n"
            "fsync domain.org/mails\n"
            "fsync domain.org\n"
            "fsync base\n"
            "published\n"
            "fsync domain.org/mails/bob/new\n");
}

TEST_F(ChainTest, HoldsWhatTheWorkerItselfMakes) {
  make_root_directory("home", 0755);
  make_directory("home/bob", 0700, kBob);
  EXPECT_EQ(syncs_of(kBob, {"home/bob/mail"}),
            "stored\n"
            "fsync home/bob/mail\n"
            "fsync home/bob\n"
            "fsync home\n"
            "fsync base\n"
            "published\n"
            "fsync home/bob/mail/new\n");
}

TEST_F(ChainTest, IsSyncedOnceForAGroup) {
  make_root_directory("domain.org");
  make_maildir("domain.org/alice", kRoot);
  make_maildir("domain.org/bob", kRoot);
  EXPECT_EQ(syncs_of(kRoot, {"domain.org/bob", "domain.org/alice", "domain.org/bob"}),
            "stored\nstored\nstored\n"
            "fsync domain.org/bob\n"
            "fsync domain.org\n"
            "fsync base\n"
            "fsync domain.org/alice\n"
            "published\npublished\npublished\n"
            "fsync domain.org/bob/new\n"
            "fsync domain.org/alice/new\n");
}

TEST_F(ChainTest, OfUnreadableDirectoriesIsSyncedWithTheFileSystemOnceAGroup) {
  make_root_directory("domain.org");
  make_root_directory("domain.org/mails");
  make_maildir("domain.org/mails/bob", kBob);
  make_maildir("domain.org/mails/bob2", kBob);
  EXPECT_EQ(syncs_of(kBob, {"domain.org/mails/bob", "domain.org/mails/bob2"}),
            "stored\nstored\n"
            "syncfs domain.org/mails/bob/new\n"
            "published\npublished\n"
            "fsync domain.org/mails/bob/new\n"
            "fsync domain.org/mails/bob2/new\n");
}

TEST_F(ChainTest, ThatCannotBeSyncedKeepsItsMailUnpublished) {
  make_root_directory("domain.org");
  make_maildir("domain.org/bob", kBob);
  // Another's quota, perhaps.
  for (const auto& [error, text] :
       {std::pair(EIO, "Input/output error"), std::pair(EDQUOT, "Disk quota exceeded")}) {
    RecordedCalls::fail("syncfs domain.org/bob/new", error, 1);
    const std::string failed =
        fmt::format("io: syncfs for the directories above the mailbox: {}\n", text);
    EXPECT_EQ(syncs_of(kBob, {"domain.org/bob", "domain.org/bob"}),
              failed + failed + "syncfs domain.org/bob/new\n");
    EXPECT_THAT(list("domain.org/bob/new"), ElementsAre());
    EXPECT_THAT(list("domain.org/bob/tmp"), ElementsAre());
  }
}

TEST_F(ChainTest, IsNotSyncedAgainForOthersOfAGroupInWhichThatFailed) {
  make_root_directory("domain.org");
  make_maildir("domain.org/alice", kRoot);
  make_maildir("domain.org/bob", kRoot);
  RecordedCalls::fail("fsync domain.org", EDQUOT, 1);
  const std::string failed = "io: fsync a directory above the mailbox: Disk quota exceeded\n";
  EXPECT_EQ(syncs_of(kRoot, {"domain.org/bob", "domain.org/alice"}),
            failed + failed + "fsync domain.org/bob\nfsync domain.org\n");
}

TEST_F(ChainTest, OfAnOldMailboxIsLeftAlone) {
  make_root_directory("domain.org");
  make_maildir("domain.org/bob", kBob);
  RecordedCalls::let_a_year_pass();
  EXPECT_EQ(syncs_of(kBob, {"domain.org/bob"}), "stored\npublished\nfsync domain.org/bob/new\n");
}

}  // namespace
}  // namespace lmtpd::maildir
