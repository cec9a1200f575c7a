#include "lmtpd/frontend/connection.h"

#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include <cstdint>

#include "lmtpd/frontend/spool.h"
#include "tests/frontend/connection_fixture.h"

namespace lmtpd::frontend {
namespace {

class ConnectionTest : public ConnectionFixture {
 protected:
  ConnectionTest() {
    connect({.hostname = "mx.test",
             .size_announced = 1 << 20,
             .auth_mechanisms = {"SCRAM-SHA-256"},
             .auth = session::AuthUse::offered},
            nullptr);
    EXPECT_TRUE(receive().starts_with("220 "));
    send("LHLO c\r\n");
    EXPECT_TRUE(receive().starts_with("250-"));
  }
};

TEST_F(ConnectionTest, RelaysAnExchangeAndEndsItWithItsClient) {
  using Kind = session::AuthStep::Kind;
  send("AUTH SCRAM-SHA-256\r\n");
  connection_->on_auth_step({Kind::challenge, "one"});
  run();
  EXPECT_EQ(receive(), "334 b25l\r\n");
  send("dHdv\r\n");
  connection_->on_auth_step({Kind::refused, {}});
  run();
  EXPECT_EQ(receive(), "535 5.7.8 Authentication failed\r\n");
  send("AUTH SCRAM-SHA-256\r\n");
  connection_->on_auth_step({Kind::challenge, {}});
  run();
  EXPECT_EQ(receive(), "334 \r\n");
  connection_.reset();
  EXPECT_EQ(auth_, (std::vector<std::string>{"SCRAM-SHA-256", "two", "SCRAM-SHA-256", "end"}));
}

TEST_F(ConnectionTest, AnswersAPipelinedGroupInOnePiece) {
  send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nRCPT TO:<b@x.org>\r\nDATA\r\n");
  EXPECT_EQ(receive(), "");
  answer_oldest();
  EXPECT_EQ(receive(), "");
  answer_oldest();
  EXPECT_EQ(receive(),
            "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n"
            "354 End data with <CR><LF>.<CR><LF>\r\n");
}

TEST_F(ConnectionTest, LetsNoReplyWaitForACommandThatHasNotCome) {
  send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\n");
  EXPECT_EQ(receive(), "250 2.1.0 Ok\r\n");
  answer_oldest();
  EXPECT_EQ(receive(), "250 2.1.5 Ok\r\n");
}

TEST_F(ConnectionTest, ReadsOnWhereItStoppedWhileItsSessionWaited) {
  send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nDATA\r\n");
  // Out of turn: neither is taken before the replies are due, and none is lost.
  send("text\r\n.\r\n");
  send("NOOP\r\n");
  EXPECT_EQ(receive(), "");
  answer_oldest();
  EXPECT_TRUE(receive().starts_with("250 2.1.0"));
  ASSERT_NE(delivering_, 0U);
  EXPECT_EQ(receive(), "");
  connection_->on_copy_done(delivering_, 0, {});
  run();
  EXPECT_EQ(receive(), "250 2.0.0 Stored, id=S1.1\r\n");
  EXPECT_EQ(receive(), "250 2.0.0 Ok\r\n");
  EXPECT_EQ(lines_.size(), 1U);
}

TEST_F(ConnectionTest, BooksLittleByLittleOnceItsRoomWasTakenBack) {
  send("MAIL FROM:<> SIZE=100000\r\nRCPT TO:<a@x.org>\r\nDATA\r\n");
  answer_oldest();
  send("ten octet\r\n");
  ASSERT_EQ(bookings_.size(), 1U);
  const auto [body, octets] = bookings_[0];
  EXPECT_EQ(octets, 100000U + Spool::kCopy);
  EXPECT_EQ(connection_->on_reclaim(body), 99990U);
  send("five\r\n");
  send("five\r\n");
  send("five\r\n");
  bookings_.erase(bookings_.begin());
  EXPECT_EQ(bookings_, (decltype(bookings_){{body, 15}}));
  send("five\r\n");
  EXPECT_EQ(bookings_.back(), (std::pair{body, std::uint64_t{30}}));
}

TEST_F(ConnectionTest, EndsWhenItsClientLeavesWhileTheSessionWaits) {
  send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nDATA\r\n");
  client_.reset();
  run();
  EXPECT_FALSE(finished_);  // a recipient is being resolved
  answer_oldest();
  EXPECT_TRUE(finished_);
}

TEST_F(ConnectionTest, GivesBackTheRoomOfItsRecipientsAtItsEnd) {
  send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\n");
  answer_oldest();
  EXPECT_GT(recipients_.held(), 0U);
  client_.reset();
  run();
  EXPECT_TRUE(finished_);
  connection_.reset();
  EXPECT_EQ(recipients_.held(), 0U);
}

TEST_F(ConnectionTest, AsksForNoRecipientsOnceItIsGone) {
  send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\n");
  EXPECT_EQ(asked_.size(), 1U);
  connection_.reset();
  EXPECT_TRUE(asked_.empty());
}

TEST_F(ConnectionTest, BooksRoomForTheCopiesOfItsMessage) {
  send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nRCPT TO:<b@x.org>\r\nDATA\r\n");
  answer_oldest();
  answer_oldest();
  ASSERT_EQ(bookings_.size(), 1U);
  EXPECT_EQ(bookings_[0].second, kInlineBody + 2 * Spool::kCopy);
}

TEST_F(ConnectionTest, TakesAPlaceByMailAndNotBefore) {
  EXPECT_EQ(places_.taken(), 0U);
  EXPECT_FALSE(has_place_);
  send("MAIL FROM:<\r\n");
  EXPECT_EQ(receive().substr(0, 3), "553");
  EXPECT_EQ(places_.taken(), 0U);
  send("MAIL FROM:<>\r\nRSET\r\n");
  EXPECT_EQ(receive(), "250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n");
  EXPECT_EQ(places_.taken(), 1U);
  EXPECT_TRUE(has_place_);
  connection_.reset();
  EXPECT_EQ(places_.taken(), 0U);
}

TEST_F(ConnectionTest, TurnsItsClientAwayWithAReply) {
  connection_->turn_away();
  run();
  EXPECT_EQ(receive(), "421 4.3.2 mx.test Too many connections, closing connection\r\n");
  EXPECT_TRUE(finished_);
}

TEST_F(ConnectionTest, TurnsAwayWhoReadsNoRepliesAndWaitsForNothing) {
  for (int i = 0; i < 900; ++i) send("DATA\r\n");  // more replies than the kernel holds
  send("AUTH SCRAM-SHA-256\r\n");
  connection_->turn_away();
  run();
  EXPECT_TRUE(finished_);
  for (std::string reply = receive(); !reply.empty(); reply = receive()) {
    EXPECT_EQ(reply.substr(0, 3), "503");
  }
}

// Whether its session waits for nothing, or for the client itself.
TEST_F(ConnectionTest, EndsOnceItsClientHasTakenNoRepliesForTheSessionsTime) {  // E12
  constexpr timeval kPatience{20, 0};
  const auto unread = [&] {
    int octets = 0;
    EXPECT_EQ(::ioctl(client_.get(), FIONREAD, &octets), 0);
    return octets;
  };
  std::string group;
  for (int i = 0; i < 500; ++i) group += "NOOP\r\n";
  for (const char* last : {"AUTH SCRAM-SHA-256\r\n", "NOOP\r\n"}) {
    counted_.clear();
    auth_.clear();
    finished_ = false;
    connect({.hostname = "mx.test",
             .junk_command_limit = SIZE_MAX,
             .session_timeout = std::chrono::seconds(2),
             .auth_mechanisms = {"SCRAM-SHA-256"},
             .auth = session::AuthUse::offered},
            nullptr);
    send("LHLO c\r\n");
    for (int before = 0; unread() > before;) {  // until the kernel holds no more replies
      before = unread();
      send(group);
    }
    send(last);
    EXPECT_FALSE(auth_.empty()) << "it was taken";
    event_base_loopexit(base_.get(), &kPatience);
    while (!finished_ && event_base_got_exit(base_.get()) == 0) {
      event_base_loop(base_.get(), EVLOOP_ONCE);
    }
    EXPECT_TRUE(finished_) << last;
    EXPECT_EQ(counted_, std::vector{Counter::session_timeout_hits}) << last;
  }
}

// An outcome behind a gap would be taken for an earlier recipient's.
TEST_F(ConnectionTest, SaysNothingBehindRepliesThatItsClientDidNotTake) {  // E12
  connect({.hostname = "mx.test",
           .size_announced = 1 << 20,
           .junk_command_limit = SIZE_MAX,
           .session_timeout = std::chrono::seconds(2)},
          nullptr);
  send("LHLO c\r\n");
  for (int i = 0; i < 900; ++i) send("NOOP\r\n");  // more replies than the kernel holds
  send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nRCPT TO:<b@x.org>\r\nDATA\r\n");
  answer_oldest();
  connection_->on_resolved(asked_.front().first,
                           std::vector{session::Mailbox{"t", "x.org/b", "b@x.org"}});
  run();
  send("text\r\n.\r\n");
  ASSERT_NE(delivering_, 0U);
  connection_->on_copy_done(delivering_, 0, fail(Reason::over_quota, ""));
  run();
  counted_.clear();
  while (counted_.empty()) event_base_loop(base_.get(), EVLOOP_ONCE);
  EXPECT_EQ(counted_, std::vector{Counter::session_timeout_hits});
  EXPECT_FALSE(finished_);
  while (!receive().empty()) continue;  // it wakes up
  connection_->on_copy_done(delivering_, 1, {});
  run();
  EXPECT_EQ(receive(), "");
  EXPECT_TRUE(finished_);
  EXPECT_EQ(lines_.size(), 2U);
}

class Hangup : public ConnectionTest {
 protected:
  void wait_for_room() {
    has_room_ = false;
    send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nDATA\r\n");
    answer_oldest();
    EXPECT_EQ(receive(), "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
  }
  void give_room() {
    has_room_ = true;
    connection_->on_booked(bookings_.back().first);
    run();
  }
  // The client sends nothing more, and waits for replies.
  void close_half() { ASSERT_EQ(::shutdown(client_.get(), SHUT_WR), 0); }
  void tick() {
    run();
    connection_->on_tick();
    run();
  }
};

TEST_F(Hangup, GivesUpTheWaitForRoom) {
  wait_for_room();
  send("text\r\n.\r\n");  // out of turn, and now of no use
  tick();
  EXPECT_FALSE(finished_);
  client_.reset();
  tick();
  EXPECT_TRUE(finished_);
  connection_.reset();
  EXPECT_EQ(released_, (std::vector{bookings_.back().first}));
}

TEST_F(Hangup, GivesUpTheWaitForALookup) {
  send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nDATA\r\n");
  client_.reset();
  tick();
  EXPECT_TRUE(finished_);
}

TEST_F(Hangup, LeavesADeliveryToItsEnd) {
  send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nDATA\r\n");
  answer_oldest();
  send("text\r\n.\r\n");
  ASSERT_NE(delivering_, 0U);
  client_.reset();
  tick();
  EXPECT_FALSE(finished_);
  connection_->on_copy_done(delivering_, 0, {});
  run();
  EXPECT_TRUE(finished_);
  ASSERT_EQ(lines_.size(), 1U);
  EXPECT_NE(lines_[0].find("status=sent"), std::string::npos) << lines_[0];
}

TEST_F(Hangup, OfOneHalfWithTheWholeMessageSentIsNone) {
  wait_for_room();
  send("text\r\n.\r\n");
  close_half();
  tick();
  tick();
  EXPECT_FALSE(finished_);
  give_room();
  EXPECT_TRUE(receive().starts_with("354 "));
  ASSERT_NE(delivering_, 0U);
  tick();
  EXPECT_FALSE(finished_);
  connection_->on_copy_done(delivering_, 0, {});
  run();
  EXPECT_TRUE(receive().starts_with("250 2.0.0 Stored"));
  EXPECT_TRUE(finished_);
}

TEST_F(Hangup, OfOneHalfBeforeTheMessageGivesUpTheWaitForRoom) {
  wait_for_room();
  close_half();
  tick();
  EXPECT_TRUE(finished_);
}

TEST_F(Hangup, OfOneHalfLeavesTheClientTheRepliesToItsRecipients) {
  send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nDATA\r\n");
  close_half();
  tick();
  EXPECT_FALSE(finished_);
  has_room_ = false;
  answer_oldest();
  EXPECT_EQ(receive(), "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
  EXPECT_TRUE(finished_);
}

TEST_F(Hangup, OfOneHalfBehindAnEmptyChunkIsNone) {
  has_room_ = false;
  send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nBDAT 0 LAST\r\n");
  answer_oldest();
  close_half();
  tick();
  EXPECT_FALSE(finished_);
  give_room();
  EXPECT_NE(delivering_, 0U);
}

}  // namespace
}  // namespace lmtpd::frontend
