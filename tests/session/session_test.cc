// What dialogues cannot say: when things happen, and how much of them waits.
#include "lmtpd/session/session.h"

#include <gtest/gtest.h>

#include "tests/session/session_fixture.h"

namespace lmtpd::session {
namespace {

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
  EXPECT_GT(output.size(), 64U * 1024);
  EXPECT_LT(output.size(), 64U * 1024 + 512);
  EXPECT_TRUE(session_->wants_input());
}

TEST_F(SessionTest, WhatIsOwedToOneMessageIsSaidBeyondThat) {  // E12
  constexpr std::size_t kRecipients = 3000;
  settings_.recipient_limit = kRecipients;
  start_message(std::vector<std::string>(kRecipients, "a"));
  std::string_view rest = ".\r\nQUIT\r\n";
  rest.remove_prefix(session_->consume(rest));
  while (backend_.answer_next(*session_)) continue;
  EXPECT_GT(session_->take_output().size(), kRecipients * 25);
  EXPECT_EQ(session_->consume(rest), rest.size());
  EXPECT_TRUE(session_->closing());
}

TEST_F(SessionTest, TenThousandPipelinedRcptsAreAnsweredInOrder) {  // E12, B34
  backend_.recipients.at(address("a")).after = Duration(5);
  start();
  client_->send("MAIL FROM:<>\r\n");
  std::string flood;
  for (int i = 0; i < 5000; ++i) flood += "RCPT TO:<a@x.org>\r\nRCPT TO:<nobody@x.org>\r\n";
  client_->send(flood);
  EXPECT_EQ(backend_.resolves.size(), kMostResolving);  // no more wait at a time
  EXPECT_FALSE(session_->wants_input());
  EXPECT_FALSE(session_->replies_may_wait());
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

std::vector<std::string> mailboxes(std::size_t count) {
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < count; ++i) paths.push_back("m" + std::to_string(i));
  return paths;
}

// What each list has counts for each RCPT that leads to it. The first has room, whatever it has.
TEST_F(SessionTest, MailboxesOfATransactionAreBounded) {  // B34
  settings_.recipient_limit = 3;                          // 30 mailboxes
  backend_.add_mailbox(address("half"), mailboxes(15));
  backend_.add_mailbox(address("all"), mailboxes(31));
  start();
  ask("MAIL FROM:<>");
  EXPECT_EQ(ask("RCPT TO:<half@x.org>"), "250 2.1.5");
  EXPECT_EQ(ask("RCPT TO:<half@x.org>"), "250 2.1.5");
  EXPECT_EQ(ask("RCPT TO:<a@x.org>"), "452 4.5.3");
  EXPECT_EQ(ask("RSET"), "250 2.0.0");
  ask("MAIL FROM:<>");
  EXPECT_EQ(ask("RCPT TO:<all@x.org>"), "250 2.1.5");
  EXPECT_EQ(ask("RCPT TO:<a@x.org>"), "452 4.5.3");
  EXPECT_EQ(backend_.counted[Counter::recipient_limit_hits], 2U);
  EXPECT_EQ(backend_.counted[Counter::recipients_deferred], 2U);
  client_->send("DATA\r\n");
  EXPECT_EQ(ask("."), "354 End d");
  EXPECT_EQ(client_->read_line().value_or("none").substr(0, 9), "250 2.0.0");
  EXPECT_EQ(backend_.stored.size(), 31U);
}

// Those that wait for their turn are held as well.
TEST_F(SessionTest, MailboxesAreCountedAsTheyAreKnown) {  // B34
  backend_.add_mailbox(address("list"), mailboxes(20));
  settings_.recipient_limit = 2;
  backend_.recipients.at(address("a")).after = Duration(10);
  start();
  client_->send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nRCPT TO:<list@x.org>\r\n");
  EXPECT_EQ(reply_now(), "250 2.1.0");
  for (const char* reply : {"452 4.5.3", "250 2.1.5"}) {
    EXPECT_EQ(client_->read_line().value_or("none").substr(0, 9), reply);
  }
}

// The longest of RFC 5321 4.5.3.1.4 and what SIZE, BODY, SMTPUTF8, AUTH and ORCPT add to it, and
// the longest that is taken at all.
TEST_F(SessionTest, LongCommandsAreWhatTheySay) {  // C1
  settings_.size_announced = 10'000;
  start_with_auth({});
  const auto padded = [](const std::string& begin, std::size_t octets, const std::string& end) {
    return begin + std::string(octets - begin.size() - end.size(), 'x') + end;
  };
  client_->send(padded("NOOP ", 512, "\r\n"));
  EXPECT_EQ(reply_now(), "250 2.0.0");
  client_->send(padded("MAIL FROM:<", 512, "@x.org>") + " SIZE=12345678901234567890" + "\r\n");
  EXPECT_EQ(reply_now(), "552 5.3.4");
  client_->send(padded("MAIL FROM:<", 512, "@x.org>") + padded(" AUTH=", 506, "") +
                " SIZE=00000000000000000001 BODY=8BITMIME SMTPUTF8\r\n");
  EXPECT_EQ(reply_now(), "250 2.1.0");
  client_->send("RCPT TO:<a@x.org>" + padded(" ORCPT=rfc822;", 507, "") + "\r\n");
  EXPECT_EQ(client_->read_line().value_or("none").substr(0, 9), "250 2.1.5");
  client_->send(padded("NOOP ", 8192, "\r\n") + padded("NOOP ", 8193, "\r\n") + "RSET\r\n");
  EXPECT_EQ(reply_now(), "250 2.0.0");
  EXPECT_EQ(reply_now(), "500 5.5.2");
  EXPECT_EQ(reply_now(), "250 2.0.0");
}

// A thousand RCPTs are held at a time.
TEST_F(SessionTest, AddressesAndParametersHave1000OctetsAtMost) {  // C3, M2
  const auto of = [](std::size_t octets, const std::string& end) {
    return std::string(octets - end.size(), 'x') + end;
  };
  backend_.add_mailbox(of(1000, "@x.org"), {"long"});
  start_with_auth({});
  EXPECT_EQ(ask("MAIL FROM:<" + of(1001, "@y.org") + ">"), "553 5.1.7");
  EXPECT_EQ(ask("MAIL FROM:<> AUTH=" + of(1001, "")), "501 5.5.4");
  EXPECT_EQ(ask("MAIL FROM:<" + of(1000, "@y.org") + "> AUTH=" + of(1000, "")), "250 2.1.0");
  EXPECT_EQ(ask("RCPT TO:<" + of(1001, "@x.org") + ">"), "553 5.1.3");
  EXPECT_EQ(ask("RCPT TO:<a@x.org> ORCPT=rfc822;" + of(994, "")), "501 5.5.4");
  EXPECT_EQ(ask("RCPT TO:<" + of(1000, "@x.org") + "> ORCPT=rfc822;" + of(993, "")), "250 2.1.5");
}

// And these are octets, of which a character may have several.
TEST_F(SessionTest, InUtf8TheyHaveHalfAsManyCharacters) {  // J8
  const auto of = [](std::size_t octets, const std::string& end) {
    std::string text((octets - end.size()) % 2, 'x');
    while (text.size() + end.size() < octets) text += "\xC3\xB6";
    return text + end;
  };
  backend_.add_mailbox(of(1000, "@x.org"), {"long"});
  start();
  EXPECT_EQ(ask("MAIL FROM:<" + of(1001, "@y.org") + "> SMTPUTF8"), "553 5.1.7");
  EXPECT_EQ(ask("MAIL FROM:<" + of(1000, "@y.org") + "> SMTPUTF8"), "250 2.1.0");
  EXPECT_EQ(ask("RCPT TO:<" + of(1001, "@x.org") + ">"), "553 5.1.3");
  EXPECT_EQ(ask("RCPT TO:<a@x.org> ORCPT=utf-8;" + of(995, "")), "501 5.5.4");
  EXPECT_EQ(ask("RCPT TO:<" + of(1000, "@x.org") + "> ORCPT=utf-8;" + of(994, "")), "250 2.1.5");
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

TEST_F(SessionTest, IsTurnedAwayWhateverItIsAt) {
  start_with_auth({{AuthStep::Kind::challenge, {}}});
  client_->send("AUTH PLAIN\r\n");
  EXPECT_EQ(client_->read_line(), "334 ");
  session_->turn_away();
  EXPECT_EQ(reply_now(), "421 4.3.2");
  EXPECT_EQ(backend_.auth_messages.back(), "end");
  EXPECT_TRUE(session_->closing());
  session_->turn_away();
  EXPECT_EQ(reply_now(), "none");

  settings_.tls_first = true;
  Session shaking_hands(settings_, "S2", {}, backend_);
  shaking_hands.turn_away();
  EXPECT_EQ(shaking_hands.take_output(), "");
  EXPECT_TRUE(shaking_hands.closing());
  EXPECT_EQ(backend_.log_lines.back(),
            "S2: client=unix, closing (too many connections, in the TLS handshake)");
  EXPECT_EQ(backend_.counted[Counter::tls_failures], 0U);
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

// What a client has pipelined behind a MAIL that is refused: as much as one message may have.
TEST_F(SessionTest, ChunksOfAMessageBehindARefusedMailAreNoJunk) {  // B43
  settings_.junk_command_limit = 20;
  settings_.recipient_limit = 10;
  settings_.size_announced = 16 << 20;
  settings_.auth = AuthUse::required;
  const std::string mail = "MAIL FROM:<s@y.org>\r\nRCPT TO:<a@x.org>\r\n";
  const std::string chunk = "BDAT 65536\r\n" + std::string(65536, 'x');
  start();
  client_->send(mail);
  for (int i = 0; i < 256; ++i) client_->send(chunk);
  EXPECT_FALSE(session_->closing());
  client_->send(mail);
  // Ten beside the recipient are no junk; LHLO and the two MAILs are.
  for (int i = 0; i < 10 + 17; ++i) client_->send("BDAT 1\r\nx");
  EXPECT_FALSE(session_->closing());
  client_->send("BDAT 1\r\nx");
  EXPECT_TRUE(session_->closing());
  EXPECT_EQ(backend_.counted[Counter::junk_command_limit_hits], 1U);
}

// Before LHLO, and so before AUTH: an octet now and then, and chunk after chunk.
TEST_F(SessionTest, ChunksOutOfTurnHaveAMessagesTimeInAll) {  // B38
  settings_.session_timeout = Duration(2000);
  settings_.transaction_time_limit = Duration(3000);
  start();
  const Clock::time_point begun = backend_.now();
  client_->send("BDAT 2\r\n");
  backend_.advance(Duration(1500));
  client_->send("x");
  EXPECT_EQ(session_->deadline(), begun + settings_.transaction_time_limit);
  client_->send("x");
  EXPECT_EQ(reply_now(), "503 5.5.1");
  EXPECT_EQ(session_->deadline(), backend_.now() + settings_.session_timeout);
  client_->send("BDAT 1000\r\n");
  backend_.advance(Duration(1499));
  client_->send("x");
  session_->on_deadline();
  EXPECT_EQ(reply_now(), "none");
  backend_.advance(Duration(1));
  session_->on_deadline();
  EXPECT_EQ(reply_now(), "421 4.4.2");
  EXPECT_EQ(backend_.counted[Counter::transaction_time_limit_hits], 1U);
  EXPECT_EQ(backend_.counted[Counter::session_timeout_hits], 0U);
}

// Not the time of those before it, whose MAIL was refused as well.
TEST_F(SessionTest, ChunksOutOfTurnHaveTheTimeOfTheirOwnMessage) {  // B38
  settings_.tls = TlsLevel::encrypt;
  start();
  for (int message = 0; message < 2; ++message) {
    EXPECT_EQ(ask("MAIL FROM:<>"), "530 5.7.0");
    const Clock::time_point begun = backend_.now();
    client_->send("BDAT 2\r\n");
    backend_.advance(settings_.transaction_time_limit - Duration(1000));
    client_->send("x");
    EXPECT_EQ(session_->deadline(), begun + settings_.transaction_time_limit);
    client_->send("x");
    EXPECT_EQ(reply_now(), "530 5.7.0");
  }
}

TEST_F(SessionTest, SilenceEndsAChunkOutOfTurnSooner) {  // B38
  start();
  client_->send("BDAT 2\r\n");
  EXPECT_EQ(session_->deadline(), backend_.now() + settings_.session_timeout);
}

TEST_F(SessionTest, AResponseMayHave12288Octets) {  // L9
  start_with_auth({{AuthStep::Kind::challenge, {}},
                   {AuthStep::Kind::challenge, {}},
                   {AuthStep::Kind::refused, {}}});
  EXPECT_EQ(ask("AUTH PLAIN"), "334 ");
  EXPECT_EQ(ask(std::string(12288, 'A')), "334 ");
  EXPECT_EQ(backend_.auth_messages.back().size(), 1 + 12288U / 4 * 3);
  EXPECT_EQ(ask(std::string(12289, 'A')), "500 5.5.6");
  EXPECT_EQ(backend_.auth_messages.back(), "end");
  EXPECT_EQ(ask("AUTH PLAIN " + std::string(8193, 'A')), "500 5.5.2");  // a command's length
  EXPECT_EQ(ask("NOOP"), "250 2.0.0");
}

TEST_F(SessionTest, AShutdownWaitsForAnExchangesOutcome) {
  start_with_auth({{AuthStep::Kind::accepted, "u"}});
  EXPECT_EQ(ask("MAIL FROM:<>"), "250 2.1.0");
  EXPECT_EQ(ask("RSET"), "250 2.0.0");
  client_->send("AUTH PLAIN AHUAcA==\r\n");
  session_->shut_down();
  EXPECT_EQ(reply_now(), "none");
  EXPECT_EQ(client_->read_line().value_or("none").substr(0, 9), "235 2.7.0");
  EXPECT_EQ(reply_now(), "421 4.3.2");
  EXPECT_TRUE(session_->closing());
}

}  // namespace
}  // namespace lmtpd::session
