#include "maildir/tmp_sweep.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <set>

#include "tests/maildir/mail_base.h"

namespace lmtpd::maildir {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::kRoot;
using testing::mailbox_path;
using ::testing::SizeIs;

constexpr time_t kHour = 3600;
constexpr time_t kAbandoned = 36 * kHour;

timespec later(timespec time, time_t seconds, long nanoseconds = 0) {
  time.tv_sec += seconds + (time.tv_nsec + nanoseconds) / 1'000'000'000;
  time.tv_nsec = (time.tv_nsec + nanoseconds) % 1'000'000'000;
  return time;
}
auto order(timespec time) { return std::pair(time.tv_sec, time.tv_nsec); }

// A ctime cannot be set back, so here it is the clock that goes ahead.
class TmpSweepTest : public testing::MailBase {
 protected:
  void SetUp() override {
    MailBase::SetUp();
    if (IsSkipped()) return;
    ::clock_gettime(CLOCK_REALTIME, &clock());
    refused().clear();
    sweep_.emplace(open_base(), DiskCalls{.unlinkat =
                                              [](int dir, const char* name, int flags) {
                                                if (!refused().contains(name)) {
                                                  return ::unlinkat(dir, name, flags);
                                                }
                                                errno = EIO;
                                                return -1;
                                              },
                                          .clock_gettime =
                                              [](clockid_t, timespec* now) {
                                                *now = clock();
                                                return 0;
                                              }});
    make_maildir("bob", kRoot);
  }

  static timespec& clock() {
    static timespec value;
    return value;
  }
  static std::set<std::string>& refused() {
    static std::set<std::string> value;
    return value;
  }
  // Every file of now is long there.
  static void let_two_days_pass() { clock().tv_sec += 48 * kHour; }

  void leave(const std::string& path) const { std::ofstream(at(path)) << "half a mess"; }
  [[nodiscard]] timespec ctime(const std::string& path) const { return status(path).st_ctim; }
  void sweep(const std::string& mailbox) {
    sweep_->on_delivered(mailbox_path(mailbox));
    while (sweep_->has_work()) sweep_->step();
  }

  std::optional<TmpSweep> sweep_;
};

TEST_F(TmpSweepTest, RemovesWhatNobodyTouchedForThirtySixHours) {
  leave("bob/tmp/older");
  do {
    leave("bob/tmp/younger");
  } while (order(ctime("bob/tmp/younger")) == order(ctime("bob/tmp/older")));
  clock() = later(ctime("bob/tmp/younger"), kAbandoned);
  sweep("bob");
  EXPECT_THAT(list("bob/tmp"), ElementsAre("younger"));
}

TEST_F(TmpSweepTest, GoesByTheTimeThatNoProgramCanSet) {
  leave("bob/tmp/saved-with-its-received-date");
  const std::array<timespec, 2> long_ago{timespec{1, 0}, timespec{1, 0}};
  ASSERT_EQ(
      ::utimensat(AT_FDCWD, at("bob/tmp/saved-with-its-received-date").c_str(), long_ago.data(), 0),
      0);
  sweep("bob");
  EXPECT_THAT(list("bob/tmp"), SizeIs(1));
}

TEST_F(TmpSweepTest, LeavesTheOtherFoldersAlone) {
  leave("bob/new/message");
  leave("bob/cur/message");
  leave("bob/file");
  let_two_days_pass();
  sweep("bob");
  EXPECT_THAT(list("bob/new"), ElementsAre("message"));
  EXPECT_THAT(list("bob/cur"), ElementsAre("message"));
  EXPECT_THAT(list("bob"), ElementsAre("cur", "file", "new", "tmp"));
}

TEST_F(TmpSweepTest, RemovesPlainFilesOnly) {
  leave("kept");
  std::filesystem::create_symlink(at("kept"), at("bob/tmp/link"));
  std::filesystem::create_directory(at("bob/tmp/directory"));
  leave("bob/tmp/directory/file");
  ASSERT_EQ(::mkfifo(at("bob/tmp/pipe").c_str(), 0600), 0);
  leave("bob/tmp/.nfs0001");
  leave("bob/tmp/file");
  let_two_days_pass();
  sweep("bob");
  EXPECT_THAT(list("bob/tmp"), ElementsAre(".nfs0001", "directory", "link", "pipe"));
  EXPECT_THAT(list("bob/tmp/directory"), ElementsAre("file"));
  EXPECT_EQ(content("kept"), "half a mess");
}

TEST_F(TmpSweepTest, DoesNotFollowATmpThatIsASymbolicLink) {
  make_root_directory("elsewhere");
  leave("elsewhere/file");
  ASSERT_EQ(::rmdir(at("bob/tmp").c_str()), 0);
  std::filesystem::create_directory_symlink("../elsewhere", at("bob/tmp"));
  let_two_days_pass();
  sweep("bob");
  EXPECT_THAT(list("elsewhere"), ElementsAre("file"));
}

TEST_F(TmpSweepTest, AMailboxThatIsGoneIsNoWork) {
  sweep("nobody");
  EXPECT_FALSE(sweep_->has_work());
}

TEST_F(TmpSweepTest, SweepsAMailboxOnceADay) {
  let_two_days_pass();
  sweep("bob");
  leave("bob/tmp/file");
  let_two_days_pass();
  clock().tv_sec -= 24 * kHour + 1;  // of its last sweep it is not a day yet
  sweep("bob");
  EXPECT_THAT(list("bob/tmp"), ElementsAre("file"));
  clock().tv_sec += 24 * kHour + 1;
  sweep("bob");
  EXPECT_THAT(list("bob/tmp"), IsEmpty());
}

TEST_F(TmpSweepTest, ADeliveryTouchesNoFile) {
  leave("bob/tmp/file");
  let_two_days_pass();
  sweep_->on_delivered(mailbox_path("bob"));
  EXPECT_THAT(list("bob/tmp"), ElementsAre("file"));
}

TEST_F(TmpSweepTest, DoesABoundedPartAStep) {
  constexpr int kFiles = 1000;
  for (int i = 0; i < kFiles; ++i) leave("bob/tmp/" + std::to_string(i));
  let_two_days_pass();
  sweep_->on_delivered(mailbox_path("bob"));
  std::size_t left = kFiles;
  while (sweep_->has_work()) {
    sweep_->step();
    const std::size_t now = list("bob/tmp").size();
    ASSERT_LE(left - now, static_cast<std::size_t>(TmpSweep::kEntriesAStep));
    left = now;
  }
  EXPECT_EQ(left, 0U);
}

TEST_F(TmpSweepTest, GoesOnAfterAFileThatCannotBeRemoved) {
  for (const char* file : {"bob/tmp/1", "bob/tmp/2", "bob/tmp/3"}) leave(file);
  refused() = {"1", "2"};
  let_two_days_pass();
  sweep("bob");
  EXPECT_THAT(list("bob/tmp"), ElementsAre("1", "2"));
}

TEST_F(TmpSweepTest, OneThatFindsNoRoomToWaitMayComeAgain) {
  for (std::size_t i = 0; i < TmpSweep::kMostWaiting; ++i) {
    sweep_->on_delivered(mailbox_path("nobody" + std::to_string(i)));
  }
  leave("bob/tmp/file");
  let_two_days_pass();
  sweep("bob");
  EXPECT_THAT(list("bob/tmp"), ElementsAre("file"));
  sweep("bob");
  EXPECT_THAT(list("bob/tmp"), IsEmpty());
}

TEST_F(TmpSweepTest, RemembersABoundedNumberADay) {
  for (std::size_t i = 0; i < TmpSweep::kMostRemembered; ++i) sweep("nobody" + std::to_string(i));
  leave("bob/tmp/file");
  clock() = later(ctime("bob/tmp/file"), kAbandoned, 1);
  clock().tv_sec -= 13 * kHour;  // of those sweeps it is not a day yet: there is no room for bob
  sweep("bob");
  clock().tv_sec += 13 * kHour;
  sweep("bob");
  EXPECT_THAT(list("bob/tmp"), IsEmpty());
}

}  // namespace
}  // namespace lmtpd::maildir
