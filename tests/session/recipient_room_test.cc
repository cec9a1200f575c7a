// What is held of a transaction's recipients, and the room for it.
#include <gtest/gtest.h>

#include "tests/base/allocated.h"
#include "tests/session/session_fixture.h"

namespace lmtpd::session {
namespace {

class RecipientRoom : public SessionTest {
 protected:
  void start_transaction() {
    start();
    take_recipients();
  }
  void take_recipients() {
    EXPECT_EQ(ask("MAIL FROM:<>"), "250 2.1.0");
    for (const char* name : {"a", "b"}) EXPECT_EQ(ask(rcpt(name)), "250 2.1.5");
    EXPECT_GT(backend_.held, 2 * sizeof(Mailbox));
  }
  static std::string rcpt(const std::string& name) { return "RCPT TO:<" + address(name) + ">"; }
};

TEST_F(RecipientRoom, DefersWhoFindsNoneAndTakesTheMessageForTheOthers) {  // B34
  start_transaction();
  backend_.most_held = backend_.held;
  EXPECT_EQ(ask(rcpt("c")), "452 4.3.1");
  EXPECT_EQ(backend_.resolves.size(), 2U);
  EXPECT_EQ(backend_.counted[Counter::spool_recipients_deferred], 1U);
  EXPECT_EQ(backend_.counted[Counter::recipients_deferred], 1U);
  EXPECT_EQ(backend_.counted[Counter::recipients_accepted], 2U);
  EXPECT_EQ(ask("DATA"), "354 End d");
  client_->send("x\r\n.\r\n");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client_->read_line()->substr(0, 9), "250 2.0.0");
  EXPECT_EQ(backend_.body_copies, std::vector<std::size_t>{2});
  EXPECT_EQ(backend_.stored.size(), 2U);
  take_recipients();
}

TEST_F(RecipientRoom, RefusesTheMessageOfNobody) {
  backend_.most_held = 0;
  start();
  EXPECT_EQ(ask("MAIL FROM:<>"), "250 2.1.0");
  EXPECT_EQ(ask(rcpt("a")), "452 4.3.1");
  EXPECT_EQ(ask("DATA"), "503 5.5.1");
}

// As soon as it comes: lookup may take long.
TEST_F(RecipientRoom, IsTakenByARecipientThatIsLookedUp) {
  start();
  EXPECT_EQ(ask("MAIL FROM:<>"), "250 2.1.0");
  client_->send(rcpt("nobody") + "\r\n" + rcpt(std::string(500, 'x')) + "\r\n");
  EXPECT_GT(backend_.held, 1000U);  // one has an address, and an original one
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client_->read_line()->substr(0, 9), "550 5.1.1");
  EXPECT_EQ(backend_.held, 0U);
}

TEST_F(RecipientRoom, IsForAllOfAListOrNone) {
  std::vector<std::string> paths;
  for (int i = 0; i < 10; ++i) paths.push_back("x.org/" + std::to_string(i));
  backend_.add_mailbox(address("list"), paths);
  start_transaction();
  const std::uint64_t before = backend_.held;
  backend_.most_held = before + 9 * sizeof(Mailbox);
  EXPECT_EQ(ask(rcpt("list")), "452 4.3.1");
  EXPECT_EQ(backend_.held, before);
  EXPECT_EQ(backend_.counted[Counter::spool_recipients_deferred], 1U);
  EXPECT_EQ(ask(rcpt("c")), "250 2.1.5");
  EXPECT_EQ(ask("DATA"), "354 End d");
  EXPECT_EQ(backend_.body_copies, std::vector<std::size_t>{3});
}

// Also while the message comes, and while it is delivered: it is there for as long.
TEST_F(RecipientRoom, IsHeldToTheLastReply) {
  backend_.outcomes[std::string("b")] = {{}, Duration(10)};
  start_transaction();
  EXPECT_EQ(ask("DATA"), "354 End d");
  client_->send("x\r\n.\r\n");
  EXPECT_EQ(client_->read_line().value_or("none").substr(0, 9), "250 2.0.0");
  EXPECT_GT(backend_.held, 2 * sizeof(Mailbox));
  EXPECT_EQ(client_->read_line().value_or("none").substr(0, 9), "250 2.0.0");
  EXPECT_EQ(backend_.held, 0U);
}

TEST_F(RecipientRoom, IsHeldThoughTheMessageIsRefusedUntilItIsOver) {
  settings_.size_announced = 100;
  start_transaction();
  EXPECT_EQ(ask("DATA"), "354 End d");
  client_->send(std::string(200, 'x'));
  EXPECT_EQ(backend_.bodies_dropped, 1U);
  EXPECT_GT(backend_.held, 2 * sizeof(Mailbox));
  client_->send("\r\n.\r\n");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(reply_now(), "552 5.3.4");
  EXPECT_EQ(backend_.held, 0U);
}

TEST_F(RecipientRoom, IsGivenBackWhereTheTransactionIsGivenUp) {
  start();
  for (const auto& [command, reply] : {std::pair("RSET", "250 2.0.0"), {"LHLO c", "250-mx.te"}}) {
    take_recipients();
    EXPECT_EQ(ask(command), reply);
    EXPECT_EQ(backend_.held, 0U) << command;
    while (client_->read_line_now()) {
    }
  }
  take_recipients();
  EXPECT_EQ(ask("QUIT"), "221 2.0.0");
  EXPECT_EQ(backend_.held, 0U);
}

TEST_F(RecipientRoom, IsGivenBackAtTheTimeLimit) {
  start_transaction();
  backend_.advance(settings_.session_timeout);
  session_->on_deadline();
  EXPECT_EQ(reply_now(), "421 4.4.2");
  EXPECT_EQ(backend_.held, 0U);
}

#ifndef LMTPD_SANITIZED  // another allocator
// A list, and many recipients; with paths and addresses of the usual length, and with long ones.
TEST_F(RecipientRoom, IsAskedForAsMuchAsIsHeld) {
  settings_.recipient_limit = 2000;
  for (const std::size_t length : {std::size_t{20}, std::size_t{400}}) {
    std::vector<std::string> paths;
    for (int i = 0; i < 1000; ++i) paths.push_back("x.org/" + std::string(length, 'p') + "/");
    backend_.add_mailbox(address("list"), paths, std::string(length, 'a') + "@x.org");
    const std::string one = std::string(std::min<std::size_t>(length, 250), 'o');
    backend_.add_mailbox(address(one), {paths[0]});
    for (const auto& [name, times] : {std::pair(std::string("list"), 1), {one, 1000}}) {
      start();
      EXPECT_EQ(ask("MAIL FROM:<>"), "250 2.1.0");
      backend_.log_lines.clear();
      const std::size_t before = allocated();
      for (int i = 0; i < times; ++i) EXPECT_EQ(ask(rcpt(name)), "250 2.1.5");
      const std::size_t taken = allocated() - before;
      EXPECT_GT(backend_.held, taken * 2 / 3) << name << times;
      EXPECT_LT(backend_.held, taken * 3 / 2) << name << times;
      EXPECT_EQ(ask("RSET"), "250 2.0.0");
    }
  }
}
#endif

}  // namespace
}  // namespace lmtpd::session
