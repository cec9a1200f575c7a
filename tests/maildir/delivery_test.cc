#include "maildir/delivery.h"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <csignal>
#include <regex>

#include "tests/maildir/deliver.h"
#include "tests/maildir/mail_base.h"
#include "tests/maildir/recorded_calls.h"

namespace lmtpd::maildir {
namespace {

using testing::as_text;
using testing::deliver;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kAlice;
using testing::kBob;
using testing::kRoot;
using testing::mailbox_path;
using testing::RecordedCalls;

class DeliveryTest : public testing::MailBase {
 protected:
  void SetUp() override {
    MailBase::SetUp();
    if (!IsSkipped()) calls_.emplace(at("").substr(0, at("").size() - 1));
  }

  [[nodiscard]] Deliverer deliverer(bool fsync = true) const {
    return Deliverer::open(open_base(),
                           {.host = "mx", .fsync = fsync, .calls = RecordedCalls::table()})
        .value();
  }

  [[nodiscard]] std::string deliver_one(const std::string& path) const {
    Deliverer to = deliverer();
    return deliver(to, {path})[0];
  }
  [[nodiscard]] std::string deliver_one_as(MailboxOwner owner, const std::string& path) const {
    return as_owner(owner, [&] { return deliver_one(path); });
  }

 private:
  std::optional<RecordedCalls> calls_;
};

TEST_F(DeliveryTest, StoresHeadersThenBodyAsTheOwnersFile) {
  make_maildir("bob", kBob);
  EXPECT_EQ(deliver_one_as(kBob, "bob"), "stored");
  const auto names = list("bob/new");
  ASSERT_EQ(names.size(), 1U);
  EXPECT_TRUE(names[0].ends_with(".mx,S=19,W=22")) << names[0];
  const std::string file = "bob/new/" + names[0];
  EXPECT_EQ(content(file), "Subject: bob\n\nText\n");
  EXPECT_EQ(mode(file), 0600U);
  EXPECT_EQ(status(file).st_uid, kBob.uid.value());
  EXPECT_EQ(status(file).st_gid, kBob.gid.value());
  EXPECT_EQ(status(file).st_nlink, 1U);
  EXPECT_THAT(list("bob/tmp"), IsEmpty());
}

TEST_F(DeliveryTest, CopiesABodyOutOfADescriptor) {
  make_maildir("bob", kRoot);
  const UniqueFd memory(::memfd_create("body", MFD_CLOEXEC));
  std::string body;
  while (body.size() < 1'000'003) body += "line " + std::to_string(body.size()) + "\n";
  ASSERT_EQ(::write(memory.get(), body.data(), body.size()), static_cast<ssize_t>(body.size()));
  const MailboxPath path = mailbox_path("bob");
  const Delivery delivery{.path = &path,
                          .headers = "H: 1\n\n",
                          .body_fd = memory.get(),
                          .body_size = body.size(),
                          .wire_size = 1};
  RecordedCalls::write_at_most(100'000);
  Deliverer to = deliverer();
  EXPECT_EQ(as_text(to.deliver({&delivery, 1})[0]), "stored");
  EXPECT_EQ(content("bob/new/" + list("bob/new")[0]), "H: 1\n\n" + body);

  Delivery too_long = delivery;
  too_long.body_size += 1;
  EXPECT_THAT(as_text(to.deliver({&too_long, 1})[0]), HasSubstr("io: read the body"));
  EXPECT_EQ(list("bob/new").size(), 1U);
  EXPECT_THAT(list("bob/tmp"), IsEmpty());
}

TEST_F(DeliveryTest, GoesOnAfterShortWrites) {
  make_maildir("bob", kRoot);
  RecordedCalls::write_at_most(5);
  EXPECT_EQ(deliver_one("bob"), "stored");
  EXPECT_EQ(content("bob/new/" + list("bob/new")[0]), "Subject: bob\n\nText\n");
}

TEST_F(DeliveryTest, SyncsALoneMessageInOrder) {
  make_maildir("bob", kRoot);
  RecordedCalls::let_a_year_pass();
  EXPECT_EQ(deliver_one("bob"), "stored");
  EXPECT_THAT(RecordedCalls::take(),
              ElementsAre("write bob/tmp/*", "fsync bob/tmp/*", "link bob/new", "fsync bob/new",
                          "unlink bob/tmp"));
}

TEST_F(DeliveryTest, SharesTheSyncsOfAGroup) {
  make_maildir("alice", kRoot);
  make_maildir("bob", kRoot);
  RecordedCalls::let_a_year_pass();
  Deliverer to = deliverer();
  EXPECT_THAT(deliver(to, {"bob", "alice", "bob"}), ElementsAre("stored", "stored", "stored"));
  EXPECT_THAT(RecordedCalls::take(),
              ElementsAre("write bob/tmp/*", "write alice/tmp/*", "write bob/tmp/*",              //
                          "write-out bob/tmp/*", "write-out alice/tmp/*", "write-out bob/tmp/*",  //
                          "fsync bob/tmp/*", "fsync alice/tmp/*", "fsync bob/tmp/*",              //
                          "link bob/new", "link alice/new", "link bob/new",                       //
                          "fsync bob/new", "fsync alice/new",                                     //
                          "unlink bob/tmp", "unlink alice/tmp", "unlink bob/tmp"));
  EXPECT_EQ(list("bob/new").size(), 2U);
}

TEST_F(DeliveryTest, TakesAMailboxThatTwoPathsLeadToForOne) {
  make_maildir("bob", kRoot);
  std::filesystem::create_directory_symlink("bob", at("robert"));
  RecordedCalls::let_a_year_pass();
  Deliverer to = deliverer();
  EXPECT_THAT(deliver(to, {"bob", "robert"}), ElementsAre("stored", "stored"));
  const auto calls = RecordedCalls::take();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "fsync bob/new"), 1);
}

TEST_F(DeliveryTest, SplitsWhatIsLargerThanAGroup) {
  make_maildir("bob", kRoot);
  RecordedCalls::let_a_year_pass();
  Deliverer to =
      Deliverer::open(open_base(),
                      {.host = "mx", .largest_group = 2, .calls = RecordedCalls::table()})
          .value();
  EXPECT_THAT(deliver(to, {"bob", "bob", "bob"}), ElementsAre("stored", "stored", "stored"));
  const auto calls = RecordedCalls::take();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "fsync bob/new"), 2);
}

TEST_F(DeliveryTest, SyncsNothingWhereToldNotTo) {
  make_maildir("bob", kRoot);
  Deliverer to = deliverer(false);
  EXPECT_THAT(deliver(to, {"bob", "bob"}), ElementsAre("stored", "stored"));
  EXPECT_THAT(RecordedCalls::take(),
              ElementsAre("write bob/tmp/*", "write bob/tmp/*", "link bob/new", "link bob/new",
                          "unlink bob/tmp", "unlink bob/tmp"));
}

TEST_F(DeliveryTest, LeavesTheNeighboursOfAFailedSyncAlone) {
  make_maildir("alice", kRoot);
  make_maildir("bob", kRoot);
  RecordedCalls::let_a_year_pass();
  RecordedCalls::fail("fsync bob/tmp/*", EIO, 1);
  Deliverer to = deliverer();
  EXPECT_THAT(
      deliver(to, {"alice", "bob", "alice"}),
      ElementsAre("stored", "io: fsync a file in tmp/ of bob: Input/output error", "stored"));
  const auto calls = RecordedCalls::take();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "fsync bob/tmp/*"), 1) << "tried again";
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "link bob/new"), 0);
  EXPECT_THAT(list("bob/new"), IsEmpty());
  EXPECT_THAT(list("bob/tmp"), IsEmpty());
  EXPECT_EQ(list("alice/new").size(), 2U);
  EXPECT_THAT(list("alice/tmp"), IsEmpty());
}

// A later sync may know nothing of it.
TEST_F(DeliveryTest, EndsADeliveryWhoseWriteOutFailed) {
  make_maildir("bob", kRoot);
  RecordedCalls::let_a_year_pass();
  RecordedCalls::fail("write-out bob/tmp/*", EIO, 1);
  Deliverer to = deliverer();
  EXPECT_THAT(deliver(to, {"bob", "bob"}),
              ElementsAre("io: start the write-out of a file in tmp/ of bob: Input/output error",
                          "stored"));
  EXPECT_EQ(list("bob/new").size(), 1U);
  EXPECT_THAT(list("bob/tmp"), IsEmpty());
}

TEST_F(DeliveryTest, FailsAllOfAMailboxWhoseLastSyncFailed) {
  make_maildir("alice", kRoot);
  make_maildir("bob", kRoot);
  RecordedCalls::let_a_year_pass();
  RecordedCalls::fail("fsync bob/new", EIO, 1);
  Deliverer to = deliverer();
  const std::string failed = "io: fsync new/ of bob: Input/output error";
  EXPECT_THAT(deliver(to, {"bob", "alice", "bob"}), ElementsAre(failed, "stored", failed));
  EXPECT_THAT(list("bob/tmp"), IsEmpty());
  EXPECT_EQ(list("bob/new").size(), 2U) << "what was published stays";
}

TEST_F(DeliveryTest, NeverAsksToBounceWhatStandsInNew) {
  make_maildir("bob", kRoot);
  for (const int error : {EDQUOT, ENOSPC, EACCES}) {
    RecordedCalls::fail("fsync bob/new", error, 1);
    EXPECT_THAT(deliver_one("bob"), HasSubstr("io: fsync new/ of bob")) << error;
  }
}

TEST_F(DeliveryTest, DoesNotTrustALastSyncWithoutItsProof) {
  make_maildir("bob", kRoot);
  for (const int error : {EROFS, EIO, ENOENT}) {
    RecordedCalls::fail("unlink bob/tmp", error, 1);
    EXPECT_THAT(deliver_one("bob"), HasSubstr("io: unlink, after the last sync")) << error;
  }
}

TEST_F(DeliveryTest, PublishesUnderAnotherNameWhereOneIsTaken) {
  make_maildir("bob", kRoot);
  RecordedCalls::fail("link bob/new", EEXIST, 1);
  EXPECT_EQ(deliver_one("bob"), "stored");
  EXPECT_TRUE(std::regex_match(list("bob/new")[0], std::regex(".*Q\\d+R[0-9a-f]+\\.mx,.*")));
  RecordedCalls::fail("link bob/new", EEXIST);
  EXPECT_EQ(deliver_one("bob"), "io: link into new/ of bob: File exists");
  EXPECT_THAT(list("bob/tmp"), IsEmpty());
}

TEST_F(DeliveryTest, TellsWhatTheDiskSaid) {  // B36
  make_maildir("bob", kRoot);
  struct Case {
    int error;
    const char* reason;
  };
  for (const Case& c :
       {Case{ENOSPC, "no_space"}, Case{EMFILE, "no_space"}, Case{ENFILE, "no_space"},
        Case{ENOMEM, "no_space"}, Case{EDQUOT, "over_quota"}, Case{EIO, "io"}, Case{EFBIG, "io"},
        Case{ESTALE, "io"}, Case{EACCES, "no_access"}, Case{EPERM, "no_access"},
        Case{EROFS, "no_access"}, Case{ENOTDIR, "no_access"}, Case{ENAMETOOLONG, "no_access"},
        Case{ELOOP, "no_access"}, Case{EXDEV, "no_access"}}) {
    RecordedCalls::fail("write bob/tmp/*", c.error, 1);
    EXPECT_THAT(deliver_one("bob"), HasSubstr(std::string(c.reason) + ": write to tmp/ of bob: "));
    EXPECT_THAT(list("bob/tmp"), IsEmpty());
  }
}

// ---- a disk that says it

TEST_F(DeliveryTest, AFullDiskIsNoSpaceAndLeavesNothing) {
  make_root_directory("full");
  mount("tmpfs", "full", "size=64k,mode=0755");
  make_maildir("full/bob", kRoot);
  const std::string filler(1024 * 1024, 'x');
  const MailboxPath path = mailbox_path("full/bob");
  const Delivery large{.path = &path, .body = filler, .body_size = filler.size()};
  Deliverer to = deliverer();
  EXPECT_THAT(as_text(to.deliver({&large, 1})[0]),
              HasSubstr("no_space: write to tmp/ of full/bob"));
  EXPECT_THAT(list("full/bob/tmp"), IsEmpty());
  EXPECT_THAT(list("full/bob/new"), IsEmpty());
  EXPECT_EQ(deliver_one("full/bob"), "stored");
}

TEST_F(DeliveryTest, NoInodeLeftIsNoSpace) {
  make_root_directory("full");
  mount("tmpfs", "full", "nr_inodes=5,mode=0755");
  make_maildir("full/bob", kRoot);
  EXPECT_THAT(deliver_one("full/bob"), HasSubstr("no_space: create a file in tmp/"));
}

TEST_F(DeliveryTest, AReadOnlyFileSystemIsNoAccess) {
  make_root_directory("ro");
  mount("tmpfs", "ro", "mode=0755");
  make_maildir("ro/bob", kRoot);
  ASSERT_EQ(::mount(nullptr, at("ro").c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  EXPECT_THAT(deliver_one("ro/bob"), HasSubstr("no_access: create a file in tmp/"));
}

TEST_F(DeliveryTest, AFileSizeLimitOfOthersIsIo) {
  make_maildir("bob", kBob);
  EXPECT_EQ(as_owner(kBob,
                     [&] {
                       const rlimit limit{10, 10};
                       std::signal(SIGXFSZ, SIG_IGN);
                       if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return std::string("setrlimit");
                       return deliver_one("bob");
                     }),
            "io: write to tmp/ of bob: File too large");
}

TEST_F(DeliveryTest, NeverEntersWhatIsNotItsOwners) {
  make_maildir("alice", kAlice);
  EXPECT_EQ(deliver_one_as(kBob, "alice"), "no_access: open alice/tmp: Permission denied");
  make_maildir("shared", kAlice);
  ASSERT_EQ(::chmod(at("shared").c_str(), 0755), 0);
  EXPECT_EQ(deliver_one_as(kBob, "shared"), "no_access: open shared/new: Permission denied");
}

TEST_F(DeliveryTest, ASymbolicLinkThatLeavesTheBaseIsNoAccess) {
  make_root_directory("base");
  make_root_directory("elsewhere");
  make_maildir("elsewhere/bob", kRoot);
  std::filesystem::create_directory_symlink(at("elsewhere/bob"), at("base/absolute"));
  std::filesystem::create_directory_symlink("../elsewhere/bob", at("base/relative"));
  make_maildir("base/bob", kRoot);
  ASSERT_EQ(::rmdir(at("base/bob/new").c_str()), 0);
  std::filesystem::create_directory_symlink(at("elsewhere/bob/new"), at("base/bob/new"));
  Deliverer to =
      Deliverer::open(UniqueFd(::open(at("base").c_str(), O_PATH | O_CLOEXEC)), {.host = "mx"})
          .value();
  const std::string said =
      " leads out of virtual_mailbox_base: use a bind mount in place of the symbolic link";
  EXPECT_THAT(deliver(to, {"absolute", "relative", "bob"}),
              ElementsAre("no_access: absolute/tmp" + said, "no_access: relative/tmp" + said,
                          "no_access: bob/new" + said));
  EXPECT_THAT(list("elsewhere/bob/new"), IsEmpty());
}

TEST_F(DeliveryTest, ABindMountMayLeaveTheBase) {
  make_root_directory("base");
  make_root_directory("base/big.org");
  make_root_directory("elsewhere");
  make_maildir("elsewhere/bob", kRoot);
  ASSERT_EQ(::mount(at("elsewhere").c_str(), at("base/big.org").c_str(), nullptr, MS_BIND, nullptr),
            0);
  Deliverer to =
      Deliverer::open(UniqueFd(::open(at("base").c_str(), O_PATH | O_CLOEXEC)), {.host = "mx"})
          .value();
  EXPECT_THAT(deliver(to, {"big.org/bob"}), ElementsAre("stored"));
  EXPECT_EQ(list("elsewhere/bob/new").size(), 1U);
  ::umount2(at("base/big.org").c_str(), MNT_DETACH);
}

TEST_F(DeliveryTest, OtherThingsInThePlaceOfADirectoryAreNoAccess) {
  std::ofstream(at("file")) << "x";
  std::filesystem::create_directory_symlink("loop", at("loop"));
  std::filesystem::create_directory_symlink("nothing", at("dangling"));
  EXPECT_EQ(deliver_one("file"), "no_access: open file/tmp: Not a directory");
  EXPECT_EQ(deliver_one("file/bob"), "no_access: open file/bob/tmp: Not a directory");
  EXPECT_EQ(deliver_one("loop"), "no_access: open loop/tmp: Too many levels of symbolic links");
  EXPECT_THAT(deliver_one("dangling"), HasSubstr("no_access: dangling is missing though"));
  EXPECT_THAT(deliver_one(std::string(300, 'x')), HasSubstr("File name too long"));
}

}  // namespace
}  // namespace lmtpd::maildir
