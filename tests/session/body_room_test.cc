// Bodies: the room that is booked for them, and how they come, by DATA and by BDAT.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/base/allocated.h"
#include "tests/session/reference_data.h"
#include "tests/session/session_fixture.h"

namespace lmtpd::session {
namespace {

// Room that it had was wanted for another client: what comes of it is thrown away.
TEST_F(SessionTest, ABodyThatIsGivenUpIsRefusedBehindItsEnd) {
  const auto give_up = [&] {
    std::uint64_t id = 1;
    while (!backend_.has_body(id)) ++id;
    backend_.drop_body(id);
    session_->on_body_refused(id, {Reason::no_space, "given up"});
  };
  start_message({"a", "b"});
  client_->send("one\r\n");
  give_up();
  client_->send("two\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\n");
  EXPECT_EQ(client_->read_line(), "452 4.3.1 given up");
  EXPECT_EQ(client_->read_line(), "452 4.3.1 given up");
  client_->send("BDAT 3\r\nabcBDAT 1\r\n");
  for (const char* reply : {"250 2.1.0", "250 2.1.5", "250 2.0.0"}) {
    EXPECT_EQ(client_->read_line().value_or("none").substr(0, 9), reply);
  }
  give_up();  // in the middle of a chunk
  client_->send("d");
  EXPECT_EQ(client_->read_line(), "452 4.3.1 given up");
  client_->send("BDAT 1\r\neBDAT 1 LAST\r\nfNOOP\r\n");
  EXPECT_EQ(client_->read_line(), "452 4.3.1 given up");
  EXPECT_EQ(client_->read_line(), "452 4.3.1 given up");
  EXPECT_EQ(reply_now(), "250 2.0.0");
  EXPECT_TRUE(backend_.stored.empty());
}

TEST_F(SessionTest, NoRoomIsAskedForAChunkThatIsTooBig) {
  settings_.size_announced = 10;
  start();
  client_->send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nBDAT 11\r\n");
  while (backend_.answer_next(*session_)) {
  }
  EXPECT_TRUE(session_->wants_input());
  client_->send("hello world");
  EXPECT_TRUE(backend_.body_sizes.empty());
  for (const char* reply : {"250 2.1.0", "250 2.1.5", "552 5.3.4"}) EXPECT_EQ(reply_now(), reply);
}

TEST_F(SessionTest, DeclaredSizeIsBookedBefore354) {
  start();
  client_->send("MAIL FROM:<> SIZE=4321\r\nRCPT TO:<a@x.org>\r\nDATA\r\n");
  EXPECT_TRUE(backend_.answer_next(*session_));
  EXPECT_EQ(backend_.body_sizes, std::vector<std::uint64_t>{4321});
  EXPECT_EQ(reply_now(), "250 2.1.0");
  EXPECT_EQ(reply_now(), "250 2.1.5");
  EXPECT_EQ(reply_now(), "none");
  EXPECT_FALSE(session_->wants_input());
  EXPECT_TRUE(backend_.answer_next(*session_));
  EXPECT_EQ(reply_now(), "354 End d");
  EXPECT_TRUE(session_->wants_input());
}

TEST_F(SessionTest, RoomIsAskedForForEachCopy) {
  backend_.add_mailbox("many@x.org", {"x.org/a", "x.org/b", "x.org/c"});
  start();
  client_->send("MAIL FROM:<>\r\nRCPT TO:<many@x.org>\r\nRCPT TO:<a@x.org>\r\nDATA\r\n");
  while (backend_.answer_next(*session_)) {
  }
  EXPECT_EQ(backend_.body_copies, std::vector<std::size_t>{4});
}

TEST_F(SessionTest, AChunksOctetsWaitForTheirRoom) {
  start();
  client_->send("MAIL FROM:<> SIZE=100\r\nRCPT TO:<a@x.org>\r\nBDAT 4321\r\nQUIT\r\n");
  EXPECT_TRUE(backend_.answer_next(*session_));
  client_->push();
  EXPECT_EQ(backend_.body_sizes, std::vector<std::uint64_t>{4321});
  EXPECT_FALSE(session_->wants_input());
  EXPECT_EQ(client_->unsent(), 6U);
  EXPECT_TRUE(backend_.answer_next(*session_));
  EXPECT_TRUE(session_->wants_input());
  client_->push();
  EXPECT_EQ(client_->unsent(), 0U);
}

TEST_F(SessionTest, RoomIsBookedForTheMessageWhenItIsLargerThanItsFirstChunk) {
  start();
  client_->send("MAIL FROM:<> SIZE=4321\r\nRCPT TO:<a@x.org>\r\nBDAT 5\r\n");
  EXPECT_TRUE(backend_.answer_next(*session_));
  EXPECT_EQ(backend_.body_sizes, std::vector<std::uint64_t>{4321});
}

TEST_F(SessionTest, NoRoomIsAskedForWhenTheFirstChunkIsTooBig) {  // G11
  settings_.size_announced = 100;
  start();
  client_->send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nBDAT 101 LAST\r\n");
  client_->send(std::string(101, 'x'));
  EXPECT_EQ(reply_now(), "250 2.1.0");
  EXPECT_EQ(client_->read_line().value_or("none").substr(0, 9), "250 2.1.5");
  EXPECT_EQ(reply_now(), "552 5.3.4");
  EXPECT_TRUE(backend_.body_sizes.empty());
}

TEST_F(SessionTest, ChunksThatAreTooBigGiveTheirRoomBackAtOnce) {  // G11, I4
  settings_.size_announced = 100;
  start();
  client_->send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\n");
  EXPECT_TRUE(backend_.answer_next(*session_));
  client_->send("BDAT 50\r\n" + std::string(50, 'x'));
  EXPECT_TRUE(backend_.answer_next(*session_));
  client_->push();
  EXPECT_EQ(backend_.bodies_dropped, 0U);
  client_->send("BDAT 1000000000 LAST\r\n");
  EXPECT_EQ(backend_.bodies_dropped, 1U);
  client_->send(std::string(10'000'000, 'x'));
  EXPECT_EQ(client_->unsent(), 0U);
}

TEST_F(SessionTest, ALargeChunkComesInPieces) {
  start();
  const std::string octets(1'000'000, 'x');
  client_->send("MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<a@x.org>\r\nBDAT 1000000 LAST\r\n");
  while (backend_.answer_next(*session_)) client_->push();
  client_->send(octets);
  EXPECT_LE(std::ranges::max(backend_.appended), 65536U);
  EXPECT_LE(backend_.appended.size(), octets.size() / 65536 + 1);
  ASSERT_EQ(backend_.stored.size(), 1U);
  EXPECT_TRUE(backend_.stored[0].content.ends_with("+0000\r\n" + octets));
}

TEST_F(SessionTest, AChunkOutOfTurnIsTakenAsItComes) {  // G5
  start();
  client_->send("BDAT 10\r\n");
  const Clock::time_point due = session_->deadline();
  backend_.advance(Duration(1000));
  client_->send("QUIT\r\n");
  EXPECT_GT(session_->deadline(), due);
  EXPECT_EQ(reply_now(), "none");
  client_->send("1234NOOP\r\n");
  EXPECT_EQ(reply_now(), "503 5.5.1");
  EXPECT_EQ(reply_now(), "250 2.0.0");
}

TEST_F(SessionTest, AnAbandonedChunkGivesItsRoomBack) {  // G12
  start();
  client_->send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nBDAT 5\r\n");
  while (backend_.answer_next(*session_)) client_->push();
  client_->send("12345RSET\r\n");
  EXPECT_EQ(backend_.bodies_dropped, 1U);
}

TEST_F(SessionTest, ABodyComesInLargePieces) {
  start_message({"a"});
  std::string body;
  for (int i = 0; i < 4000; ++i) body += "a line of a message that is like so many others\r\n";
  client_->send(body + ".\r\n");
  EXPECT_LE(backend_.appended.size(), body.size() / 65536 + 1);
}

TEST_F(SessionTest, AFullBodyStopsTheClientAndNothingElse) {
  backend_.full_at = 1000;
  start_message({"a"});
  const std::string line(998, 'x');
  std::string body;
  std::string stored;
  for (int i = 0; i < 200; ++i) {
    body += line + "\r\n";
    stored += line + "\n";
  }
  client_->send(body + ".\r\n");
  EXPECT_FALSE(session_->wants_input());
  EXPECT_GT(client_->unsent(), 100000U);
  EXPECT_TRUE(backend_.answer_next(*session_));
  client_->push();
  EXPECT_EQ(client_->unsent(), 0U);
  EXPECT_EQ(client_->read_line().value_or("none").substr(0, 9), "250 2.0.0");
  ASSERT_EQ(backend_.stored.size(), 1U);
  EXPECT_TRUE(backend_.stored[0].content.ends_with("+0000\n" + stored));
}

TEST_F(SessionTest, AnEndThatFindsTheBodyFullWaitsForIt) {
  backend_.full_at = 1;
  start_message({"a"});
  client_->send("x\r\n.\r\n");
  EXPECT_TRUE(backend_.stored.empty());
  EXPECT_TRUE(backend_.answer_next(*session_));
  EXPECT_EQ(backend_.stored.size(), 1U);
}

TEST_F(SessionTest, AnEndThatFindsTheBodyRefusedIsAnsweredPerRecipient) {
  backend_.refuse_at = 1;
  start_message({"a", "b"});
  client_->send("x\r\n.\r\nNOOP\r\n");
  EXPECT_EQ(reply_now(), "none");
  EXPECT_TRUE(backend_.answer_next(*session_));
  EXPECT_EQ(reply_now(), "452 4.3.1");
  EXPECT_EQ(reply_now(), "452 4.3.1");
  client_->push();
  EXPECT_EQ(reply_now(), "250 2.0.0");
  EXPECT_TRUE(backend_.stored.empty());
  EXPECT_EQ(backend_.bodies_dropped, 0U);
}

TEST_F(SessionTest, AMessageThatIsTooBigGivesItsRoomBackAtOnce) {  // I4
  settings_.size_announced = 100;
  start_message({"a"});
  client_->send(std::string(200, 'x'));
  EXPECT_EQ(backend_.bodies_dropped, 1U);
  const std::size_t appended = backend_.appended.size();
  client_->send(std::string(100'000, 'x') + "\r\n");
  EXPECT_EQ(backend_.appended.size(), appended);
  EXPECT_EQ(reply_now(), "none");
  client_->send(".\r\n");
  EXPECT_EQ(reply_now(), "552 5.3.4");
}

TEST_F(SessionTest, OfSeveralFaultsTheSameIsNamedHoweverOctetsAreCut) {  // H19
  settings_.size_announced = 100;
  settings_.reject_bare_newline = true;
  backend_.refuse_at = 10;
  const std::string text = "bare\nnewline" + std::string(200, 'x') + "\r\n.\r\n";
  for (const std::size_t piece : {std::size_t{1}, SIZE_MAX}) {
    start_message({"a"});
    Client cutting(*session_, backend_, piece);
    cutting.send(text);
    EXPECT_EQ(cutting.read_line().value_or("none").substr(0, 9), "552 5.3.4") << piece;
  }
}

TEST_F(SessionTest, WireSizeIsThatOfTheStoredCopy) {
  backend_.add_mailbox(address("alias"), {"c"}, address("c"));
  start_message({"a", "alias"});
  client_->send("Return-Path: <gone>\r\nA: b\r\n\r\n..x\r\nbare\nlf\r\rand\r\r\ncr\r\n.\r\n");
  ASSERT_EQ(backend_.stored.size(), 2U);
  for (const ScriptedBackend::Stored& copy : backend_.stored) {
    EXPECT_EQ(copy.wire_size, wire_size(copy.content));
  }
  EXPECT_NE(backend_.stored[0].wire_size, backend_.stored[1].wire_size);
}

#ifndef LMTPD_SANITIZED  // another allocator
// The octets are where they are booked, and nowhere else.
TEST_F(SessionTest, ABodyThatWaitsForItsRestIsHeldOnce) {
  start_message({"a"});
  const std::string octets = std::string(60'000, 'x') + "\r\n";
  const std::size_t before = allocated();
  EXPECT_EQ(session_->consume(octets), octets.size());
  EXPECT_LT(allocated() - before, octets.size() + 4096);
}
#endif

}  // namespace
}  // namespace lmtpd::session
