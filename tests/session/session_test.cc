// What dialogues cannot say: when things happen, and how much of them waits.
#include "lmtpd/session/session.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/session/client.h"
#include "tests/session/reference_data.h"
#include "tests/session/scripted_backend.h"

namespace lmtpd::session {
namespace {

using Duration = ScriptedBackend::Duration;

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() {
    settings_.hostname = "mx.test";
    for (const char* name : {"a", "b", "c"}) backend_.add_mailbox(address(name), {name});
  }
  ~SessionTest() override { EXPECT_EQ(backend_.breaches(), std::vector<std::string>()); }

  static std::string address(const std::string& name) { return name + "@x.org"; }

  void start() {
    session_ = std::make_unique<Session>(settings_, "S1", Peer{}, backend_);
    if (settings_.tls_first) session_->on_tls({"TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, 256});
    client_ = std::make_unique<Client>(*session_, backend_, SIZE_MAX);
    client_->send("LHLO c\r\n");
    std::string last;
    while (const auto line = client_->read_line_now()) last = *line;
    EXPECT_TRUE(last.starts_with("250 ")) << last;
  }

  // Where PLAIN is offered, and the backend answers so.
  void start_with_auth(std::vector<AuthStep> steps) {
    backend_.auth_steps = std::move(steps);
    settings_.auth_mechanisms = {"PLAIN"};
    settings_.auth = AuthUse::offered;
    settings_.tls_first = true;
    start();
  }

  // To the point where the message is due.
  void start_message(const std::vector<std::string>& names) {
    start();
    std::string group = "MAIL FROM:<s@y.org>\r\n";
    for (const std::string& name : names) group += "RCPT TO:<" + address(name) + ">\r\n";
    client_->send(group + "DATA\r\n");
    std::string last;
    for (std::size_t i = 0; i < names.size() + 2; ++i) last = client_->read_line().value_or("none");
    EXPECT_EQ(last.substr(0, 3), "354");
  }

  std::string reply_now() { return client_->read_line_now().value_or("none").substr(0, 9); }

  Settings settings_;
  ScriptedBackend backend_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Client> client_;
};

TEST_F(SessionTest, AGroupsLookupsAllStartAtOnce) {
  start();
  client_->send(
      "MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nRCPT TO:<b@x.org>\r\nRCPT "
      "TO:<nobody@x.org>\r\nDATA\r\n");
  EXPECT_EQ(backend_.resolves.size(), 3U);
  EXPECT_EQ(backend_.owed(), 3U);
  EXPECT_EQ(reply_now(), "250 2.1.0");
  EXPECT_EQ(reply_now(), "none");
  EXPECT_FALSE(session_->wants_input());  // behind a DATA that waits
  EXPECT_TRUE(backend_.body_sizes.empty());
}

TEST_F(SessionTest, EachRcptIsAnsweredAsSoonAsThoseBeforeItAre) {  // E1
  backend_.recipients.at(address("a")).after = Duration(20);
  backend_.recipients.at(address("b")).after = Duration(10);
  backend_.recipients.at(address("c")).after = Duration(30);
  start();
  client_->send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nRCPT TO:<b@x.org>\r\nRCPT TO:<c@x.org>\r\n");
  EXPECT_EQ(reply_now(), "250 2.1.0");
  EXPECT_TRUE(backend_.answer_next(*session_));  // b
  EXPECT_EQ(reply_now(), "none");
  EXPECT_TRUE(backend_.answer_next(*session_));  // a
  EXPECT_EQ(reply_now(), "250 2.1.5");
  EXPECT_EQ(reply_now(), "250 2.1.5");
  EXPECT_EQ(reply_now(), "none");
  EXPECT_TRUE(backend_.answer_next(*session_));
  EXPECT_EQ(reply_now(), "250 2.1.5");
}

TEST_F(SessionTest, EachRecipientIsAnsweredAsSoonAsThoseBeforeItAre) {  // A13, A22
  backend_.outcomes["a"] = {{}, Duration(20)};
  backend_.outcomes["b"] = {{}, Duration(10)};
  backend_.outcomes["c"] = {fail(Reason::io, ""), Duration(30)};
  start_message({"a", "b", "c"});
  client_->send("x\r\n.\r\nQUIT\r\n");
  EXPECT_EQ(reply_now(), "none");
  EXPECT_TRUE(backend_.answer_next(*session_));  // b
  EXPECT_EQ(reply_now(), "none");
  EXPECT_TRUE(backend_.answer_next(*session_));  // a
  EXPECT_EQ(reply_now(), "250 2.0.0");
  EXPECT_EQ(reply_now(), "250 2.0.0");
  EXPECT_EQ(reply_now(), "none");
  EXPECT_EQ(client_->unsent(), 6U);  // QUIT is not taken before its turn
  EXPECT_TRUE(backend_.answer_next(*session_));
  EXPECT_EQ(reply_now(), "451 4.3.0");
  client_->push();
  EXPECT_EQ(reply_now(), "221 2.0.0");  // E4, E11
  EXPECT_TRUE(session_->closing());
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
  EXPECT_FALSE(session_->idle());
  const Clock::time_point due = session_->deadline();
  backend_.advance(Duration(1000));
  client_->send("QUIT\r\n");
  EXPECT_GT(session_->deadline(), due);
  EXPECT_EQ(reply_now(), "none");
  client_->send("1234NOOP\r\n");
  EXPECT_EQ(reply_now(), "503 5.5.1");
  EXPECT_EQ(reply_now(), "250 2.0.0");
  EXPECT_TRUE(session_->idle());
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

TEST_F(SessionTest, AClientThatNeverReadsStopsBeingRead) {  // E12
  settings_.junk_command_limit = SIZE_MAX;
  start();
  std::string flood;
  for (int i = 0; i < 200'000; ++i) flood += "NOOP\r\n";
  std::string_view rest = flood;
  while (!rest.empty()) {
    const std::size_t consumed = session_->consume(rest);
    if (consumed == 0) break;
    rest.remove_prefix(consumed);
  }
  EXPECT_FALSE(rest.empty());
  EXPECT_FALSE(session_->wants_input());
  const std::string output = session_->take_output();
  EXPECT_GT(output.size(), 1024U * 1024);
  EXPECT_LT(output.size(), 1024U * 1024 + 512);
  EXPECT_TRUE(session_->wants_input());
}

TEST_F(SessionTest, TenThousandPipelinedRcptsAreAnsweredInOrder) {  // E12, B34
  backend_.recipients.at(address("a")).after = Duration(5);
  start();
  client_->send("MAIL FROM:<>\r\n");
  std::string flood;
  for (int i = 0; i < 5000; ++i) flood += "RCPT TO:<a@x.org>\r\nRCPT TO:<nobody@x.org>\r\n";
  client_->send(flood);
  EXPECT_EQ(backend_.resolves.size(), settings_.recipient_limit);  // no more wait at a time
  EXPECT_EQ(reply_now(), "250 2.1.0");
  std::size_t accepted = 0;
  std::size_t unknown = 0;
  std::size_t beyond = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::string line = client_->read_line().value_or("none").substr(0, 9);
    accepted += line == "250 2.1.5" ? 1 : 0;
    unknown += line == "550 5.1.1" ? 1 : 0;
    beyond += line == "452 4.5.3" ? 1 : 0;
  }
  EXPECT_EQ(accepted, settings_.recipient_limit);
  EXPECT_EQ(accepted + unknown + beyond, 10'000U);
  EXPECT_EQ(client_->unsent(), 0U);
}

TEST_F(SessionTest, ALineThatNeverEndsTakesNoMemory) {  // C2
  start();
  client_->send(std::string(10'000'000, 'x'));
  EXPECT_EQ(reply_now(), "500 5.5.2");
  client_->send("\r\nNOOP\r\n");
  EXPECT_EQ(reply_now(), "250 2.0.0");
  EXPECT_EQ(reply_now(), "none");
}

TEST_F(SessionTest, AnswersThatAreNotOwedChangeNothing) {
  start_message({"a"});
  session_->on_resolved(1, std::vector<Mailbox>{{"t", "p", "d"}});
  session_->on_body_ready(99);
  session_->on_body_refused(99, {Reason::io, ""});
  session_->on_copy_done(99, 0, {});
  client_->send("x\r\n.\r\n");
  session_->on_copy_done(99, 0, {});
  session_->on_copy_done(2, 5, {});
  EXPECT_EQ(reply_now(), "none");
  session_->on_copy_done(2, 0, {});
  EXPECT_EQ(reply_now(), "250 2.0.0");
  session_->on_copy_done(2, 0, {});
  EXPECT_EQ(reply_now(), "none");
}

TEST_F(SessionTest, ARecipientWithoutMailboxesIsALookupFailure) {
  backend_.recipients.insert_or_assign(address("a"),
                                       ScriptedBackend::Resolution{std::vector<Mailbox>{}});
  start();
  client_->send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\n");
  EXPECT_EQ(client_->read_line().value_or("none").substr(0, 9), "250 2.1.0");
  EXPECT_EQ(client_->read_line().value_or("none").substr(0, 9), "451 4.3.0");
}

TEST_F(SessionTest, DeadlineIsTheClientsWhileItIsTheClientsTurn) {
  start();
  EXPECT_EQ(session_->deadline(), backend_.now() + settings_.session_timeout);
  session_->on_deadline();
  EXPECT_FALSE(session_->closing()) << "it was not due";
  const Clock::time_point mail = backend_.now();
  client_->send("MAIL FROM:<>\r\n");
  backend_.advance(Duration(1000));
  EXPECT_EQ(session_->deadline(), mail + settings_.session_timeout);
  client_->send("RCPT TO:<a@x.org>\r\n");
  EXPECT_EQ(session_->deadline(), mail + settings_.transaction_time_limit);
  backend_.advance(Duration(1000));
  EXPECT_TRUE(backend_.answer_next(*session_));
  EXPECT_EQ(session_->deadline(), backend_.now() + settings_.session_timeout);
  client_->send("DATA\r\n");
  EXPECT_EQ(session_->deadline(), mail + settings_.transaction_time_limit);
  EXPECT_TRUE(backend_.answer_next(*session_));
  client_->send(".\r\n");
  EXPECT_EQ(session_->deadline(), Clock::time_point::max());
}

TEST_F(SessionTest, AnOctetNowAndThenIsNoCommand) {  // B38
  start();
  const Clock::time_point due = session_->deadline();
  backend_.advance(Duration(1000));
  client_->send("NO");
  EXPECT_EQ(session_->deadline(), due);
}

TEST_F(SessionTest, ATimeoutGivesTheBodyBack) {
  start_message({"a"});
  backend_.advance(settings_.session_timeout);
  session_->on_deadline();
  EXPECT_EQ(reply_now(), "421 4.4.2");
  EXPECT_EQ(backend_.bodies_dropped, 1U);
  EXPECT_TRUE(session_->closing());
  EXPECT_EQ(session_->consume("NOOP\r\n"), 0U);
  EXPECT_EQ(session_->deadline(), Clock::time_point::max());
}

TEST_F(SessionTest, IdleIsBetweenTransactionsWithoutACommandUnderWay) {
  start();
  EXPECT_TRUE(session_->idle());
  client_->send("NO");
  EXPECT_FALSE(session_->idle());
  client_->send("OP\r\n");
  EXPECT_TRUE(session_->idle());
  client_->send("MAIL FROM:<>\r\n");
  EXPECT_FALSE(session_->idle());
  client_->send("RSET\r\n");
  EXPECT_TRUE(session_->idle());
}

TEST_F(SessionTest, ShutdownWaitsForTheRepliesBehindTheDot) {  // B37
  start_message({"a", "b"});
  client_->send("x\r\n.\r\nMAIL FROM:<>\r\n");
  session_->shut_down();
  EXPECT_EQ(reply_now(), "none");
  while (backend_.answer_next(*session_)) client_->push();
  EXPECT_EQ(reply_now(), "250 2.0.0");
  EXPECT_EQ(reply_now(), "250 2.0.0");
  EXPECT_EQ(reply_now(), "421 4.3.2");
  EXPECT_EQ(reply_now(), "none");
  EXPECT_TRUE(session_->closing());
}

TEST_F(SessionTest, ErrorsAreForgottenWithAMessage) {
  settings_.error_limit = 2;
  start_message({"a"});
  for (int round = 0; round < 3; ++round) {
    client_->send(".\r\nFOO\r\nFOO\r\n");
    for (const char* expected : {"250", "500", "500"}) {
      EXPECT_EQ(client_->read_line().value_or("none").substr(0, 3), expected);
    }
    client_->send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nDATA\r\n");
    for (const char* expected : {"250", "250", "354"}) {
      EXPECT_EQ(client_->read_line().value_or("none").substr(0, 3), expected);
    }
  }
}

// What Postfix says on a session that it keeps, where its recipients are refused, its addresses
// only verified, its messages refused, or there is no place: for hours on end.
TEST_F(SessionTest, APostfixThatKeepsItsSessionIsNeverShownOut) {  // B43
  settings_.junk_command_limit = 20;  // the least that can be configured
  settings_.hopcount_limit = 1;
  const std::string mail =
      "RSET\r\nXFORWARD NAME=c ADDR=192.0.2.1\r\nXFORWARD PROTO=ESMTP HELO=c\r\n"
      "MAIL FROM:<s@y.org>\r\n";
  start();
  for (int round = 0; round < 500; ++round) {
    backend_.mails_refused = round % 3 == 0 ? 1 : 0;
    client_->send(mail + "RCPT TO:<nobody@x.org>\r\nRCPT TO:<nobody2@x.org>\r\nDATA\r\nRSET\r\n");
    client_->send(mail + "RCPT TO:<a@x.org>\r\nRSET\r\n");
    client_->send(mail + "RCPT TO:<a@x.org>\r\nDATA\r\n");
    client_->send("Received: loops\r\n\r\n.\r\n");
    while (client_->read_line()) continue;
    ASSERT_FALSE(session_->closing()) << "round " << round;
  }
}

TEST_F(SessionTest, AResponseMayHave12288Octets) {  // L9
  start_with_auth({{AuthStep::Kind::challenge, {}},
                   {AuthStep::Kind::challenge, {}},
                   {AuthStep::Kind::refused, {}}});
  const auto say = [&](const std::string& line) {
    client_->send(line + "\r\n");
    return client_->read_line().value_or("none").substr(0, 9);
  };
  EXPECT_EQ(say("AUTH PLAIN"), "334 ");
  EXPECT_EQ(say(std::string(12288, 'A')), "334 ");
  EXPECT_EQ(backend_.auth_messages.back().size(), 1 + 12288U / 4 * 3);
  EXPECT_EQ(say(std::string(12289, 'A')), "500 5.5.6");
  EXPECT_EQ(backend_.auth_messages.back(), "end");
  EXPECT_EQ(say("AUTH PLAIN " + std::string(8193, 'A')), "500 5.5.2");  // a command's length
  EXPECT_EQ(say("NOOP"), "250 2.0.0");
}

TEST_F(SessionTest, AShutdownWaitsForAnExchangesOutcome) {
  start_with_auth({{AuthStep::Kind::accepted, "u"}});
  client_->send("AUTH PLAIN AHUAcA==\r\n");
  session_->shut_down();
  EXPECT_EQ(reply_now(), "none");
  EXPECT_EQ(client_->read_line().value_or("none").substr(0, 9), "235 2.7.0");
  EXPECT_EQ(reply_now(), "421 4.3.2");
  EXPECT_TRUE(session_->closing());
}

}  // namespace
}  // namespace lmtpd::session
