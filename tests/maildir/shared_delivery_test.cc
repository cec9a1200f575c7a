// Deliveries into a file system with a shared sync.
#include <gmock/gmock.h>

#include <optional>

#include "maildir/delivery.h"
#include "tests/maildir/deliver.h"
#include "tests/maildir/mail_base.h"
#include "tests/maildir/recorded_calls.h"
#include "tests/sync/shared_page.h"

namespace lmtpd::maildir {
namespace {

using testing::deliver;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kRoot;
using testing::mailbox_path;
using testing::RecordedCalls;

// "syncfs usr" in the list of calls is the shared sync.
class SharedDeliveryTest : public testing::MailBase {
 protected:
  void SetUp() override {
    MailBase::SetUp();
    if (IsSkipped()) return;
    calls_.emplace(at("").substr(0, at("").size() - 1));
    RecordedCalls::let_a_year_pass();
    make_maildir("alice", kRoot);
    make_maildir("bob", kRoot);
  }
  ~SharedDeliveryTest() override { page_.stop(); }

  void serve() { page_.serve(RecordedCalls::table().syncfs); }
  const Deliverer& deliverer(Clock::duration patience = std::chrono::minutes(1)) {
    std::map<dev_t, SharedSync> shared;
    shared.emplace(status("bob/new").st_dev, page_.client(patience));
    deliverer_.emplace(Deliverer::open(open_base(), {.host = "mx",
                                                     .shared_syncs = std::move(shared),
                                                     .calls = RecordedCalls::table()})
                           .value());
    return *deliverer_;
  }

  testing::SharedPage page_;

 private:
  std::optional<RecordedCalls> calls_;
  std::optional<Deliverer> deliverer_;
};

TEST_F(SharedDeliveryTest, TheSharedSyncStandsForTheGroupsOwn) {
  serve();
  EXPECT_THAT(deliver(deliverer(), {"bob", "alice", "bob"}),
              ElementsAre("stored", "stored", "stored"));
  EXPECT_THAT(RecordedCalls::take(),
              ElementsAre("write bob/tmp/*", "write alice/tmp/*", "write bob/tmp/*",  //
                          "syncfs usr",                                               //
                          "link bob/new", "link alice/new", "link bob/new",           //
                          "syncfs usr",                                               //
                          "unlink bob/tmp", "unlink alice/tmp", "unlink bob/tmp"));
}

TEST_F(SharedDeliveryTest, WhoIsAloneSyncsByItself) {
  serve();
  EXPECT_THAT(deliver(deliverer(), {"bob"}, true), ElementsAre("stored"));
  EXPECT_THAT(RecordedCalls::take(),
              ElementsAre("write bob/tmp/*", "fsync bob/tmp/*", "link bob/new", "fsync bob/new",
                          "unlink bob/tmp"));
}

TEST_F(SharedDeliveryTest, WithoutACommitterItSyncsByItselfAndWaitsOnce) {
  EXPECT_THAT(deliver(deliverer(std::chrono::milliseconds(1)), {"bob", "bob"}),
              ElementsAre("stored", "stored"));
  EXPECT_THAT(RecordedCalls::take(), ElementsAre("write bob/tmp/*", "write bob/tmp/*",          //
                                                 "write-out bob/tmp/*", "write-out bob/tmp/*",  //
                                                 "fsync bob/tmp/*", "fsync bob/tmp/*",          //
                                                 "link bob/new", "link bob/new",                //
                                                 "fsync bob/new",                               //
                                                 "unlink bob/tmp", "unlink bob/tmp"));
  EXPECT_EQ(page_.rings(), 1U);
}

TEST_F(SharedDeliveryTest, AFileLeftToAFailedSyncHasItsOwn) {
  serve();
  RecordedCalls::fail("syncfs usr", EIO, 1);
  RecordedCalls::fail("fsync bob/tmp/*", ENOSPC, 1);
  const auto outcomes = deliver(deliverer(), {"bob", "alice"});
  EXPECT_THAT(outcomes[0], HasSubstr("no_space: fsync a file in tmp/ of bob"));
  EXPECT_EQ(outcomes[1], "stored");
  EXPECT_THAT(list("bob/new"), IsEmpty());
  EXPECT_THAT(list("bob/tmp"), IsEmpty());
}

// The kernel may write it out at once, and tell an error to whoever syncs then.
TEST_F(SharedDeliveryTest, NoSyncIsBelievedAfterOneThatFailedDuringTheWrite) {
  serve();
  const Deliverer& to = deliverer();
  RecordedCalls::fail("syncfs usr", EIO, 1);
  RecordedCalls::meanwhile("write bob/tmp/*", [this] {
    page_.ring();
    page_.wait_for_syncs();
    page_.end_rest();
  });
  EXPECT_THAT(deliver(to, {"bob"}), ElementsAre("stored"));
  EXPECT_THAT(RecordedCalls::take(),
              ElementsAre("write bob/tmp/*", "syncfs usr",  // fails
                          "syncfs usr", "fsync bob/tmp/*",  //
                          "link bob/new", "fsync bob/new", "unlink bob/tmp"));
}

TEST_F(SharedDeliveryTest, WhereTheSecondSyncIsAbsentItSyncsNewByItself) {
  serve();
  const Deliverer& to = deliverer();
  RecordedCalls::meanwhile("link alice/new", [this] { page_.begin_rest(); });
  EXPECT_THAT(deliver(to, {"bob", "alice", "bob"}), ElementsAre("stored", "stored", "stored"));
  EXPECT_THAT(RecordedCalls::take(),
              ElementsAre("write bob/tmp/*", "write alice/tmp/*", "write bob/tmp/*",  //
                          "syncfs usr",                                               //
                          "link bob/new", "link alice/new", "link bob/new",           //
                          "fsync bob/new", "fsync alice/new",                         //
                          "unlink bob/tmp", "unlink alice/tmp", "unlink bob/tmp"));
}

TEST_F(SharedDeliveryTest, WhatWasPublishedBeforeAFailedSyncIsNotReportedAsStored) {
  serve();
  const Deliverer& to = deliverer();
  RecordedCalls::fail_after("link bob/new", "syncfs usr", EIO);
  EXPECT_THAT(deliver(to, {"bob"}),
              ElementsAre(HasSubstr("io: the shared sync behind new/ of bob failed")));
  EXPECT_EQ(list("bob/new").size(), 1U);
  EXPECT_THAT(list("bob/tmp"), IsEmpty());
}

TEST_F(SharedDeliveryTest, ALargeFileHoldsUpNoSharedSync) {
  serve();
  const std::string body(300'000, 'x');
  const MailboxPath path = mailbox_path("bob");
  const Delivery large{
      .path = &path, .headers = "H: 1\n\n", .body = body, .body_size = body.size(), .wire_size = 1};
  EXPECT_EQ(testing::as_text(deliverer().deliver({&large, 1})[0]), "stored");
  EXPECT_THAT(RecordedCalls::take(), ElementsAre("write bob/tmp/*", "fsync bob/tmp/*",
                                                 "link bob/new", "syncfs usr", "unlink bob/tmp"));
}

TEST_F(SharedDeliveryTest, AFileSystemWithoutOneSyncsByItself) {
  serve();
  make_directory("other", 0711, kRoot);
  mount("tmpfs", "other", "mode=0711");
  make_maildir("other/carol", kRoot);
  EXPECT_THAT(deliver(deliverer(), {"other/carol", "bob"}), ElementsAre("stored", "stored"));
  EXPECT_THAT(RecordedCalls::take(),
              ElementsAre("write other/carol/tmp/*", "write bob/tmp/*",  //
                          "write-out other/carol/tmp/*", "fsync other/carol/tmp/*", "syncfs usr",
                          "link other/carol/new", "link bob/new",  //
                          "fsync other/carol/new", "syncfs usr",   //
                          "unlink other/carol/tmp", "unlink bob/tmp"));
}

}  // namespace
}  // namespace lmtpd::maildir
