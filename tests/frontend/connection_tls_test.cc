#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lmtpd/frontend/connection.h"
#include "lmtpd/frontend/tls_words.h"
#include "tests/frontend/connection_fixture.h"
#include "tests/frontend/tls_fixture.h"

namespace lmtpd::frontend {
namespace {

using testing::Contains;
using testing::HasSubstr;

class ConnectionTlsTest : public ConnectionFixture {
 protected:
  ConnectionTlsTest() {
    static const KeyPair pair = KeyPair::make("mx.test");
    Settings settings;
    settings.tls_cert_file = settings.tls_key_file = "/pem";
    auto made = context_of(settings, {{"/pem", pair.key + pair.certificate}});
    EXPECT_TRUE(made) << made.error().text;
    context_.emplace(std::move(*made));
  }

  void connect_with_starttls() {
    connect({.hostname = "mx.test", .tls = TlsLevel::may}, &*context_);
    EXPECT_TRUE(receive().starts_with("220 mx.test"));
    send("LHLO c\r\n");
    EXPECT_THAT(receive(), HasSubstr("250 STARTTLS\r\n"));
  }
  void shake_hands() {
    for (std::string said = tls_.say(); !said.empty(); said = tls_.say()) {
      send(said);
      hear();
    }
  }
  void hear() {
    for (std::string piece = receive(); !piece.empty(); piece = receive()) tls_.hear(piece);
  }
  // The replies to `octets`, within TLS.
  std::string ask(std::string_view octets) {
    send(tls_.say(octets));
    hear();
    return tls_.read();
  }

  std::optional<TlsContext> context_;
  TlsClient tls_;
};

TEST_F(ConnectionTlsTest, ThrowsAwayWhatWasSentInPlainTextBehindStarttls) {  // K4, E13
  connect_with_starttls();
  send("STARTTLS\r\nMAIL FROM:<evil@x.org>\r\nLHLO evil\r\n");
  EXPECT_EQ(receive(), "220 2.0.0 Ready to start TLS\r\n");
  shake_hands();
  EXPECT_EQ(ask("RCPT TO:<a@x.org>\r\n"), "503 5.5.1 Bad sequence of commands\r\n");
  EXPECT_TRUE(ask("LHLO c\r\n").starts_with("250-mx.test"));
  EXPECT_TRUE(asked_.empty());
}

TEST_F(ConnectionTlsTest, GreetsBehindTheHandshakeWhereTlsComesFirst) {
  connect({.hostname = "mx.test", .tls_first = true}, &*context_);
  EXPECT_EQ(receive(), "");
  shake_hands();
  EXPECT_TRUE(tls_.read().starts_with("220 mx.test"));
  EXPECT_TRUE(ask("QUIT\r\n").starts_with("221 "));
  EXPECT_TRUE(tls_.at_end());  // K8
  EXPECT_TRUE(finished_);
}

TEST_F(ConnectionTlsTest, TakesAPipelinedGroupWhileItsSessionWaits) {
  connect({.hostname = "mx.test", .tls_first = true}, &*context_);
  shake_hands();
  EXPECT_TRUE(ask("LHLO c\r\n").starts_with("220 "));
  EXPECT_EQ(ask("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nDATA\r\n"), "");
  EXPECT_EQ(ask("text\r\n.\r\n"), "");
  answer_oldest();
  hear();
  EXPECT_THAT(tls_.read(), HasSubstr("354 "));
  ASSERT_NE(delivering_, 0U);
  connection_->on_copy_done(delivering_, 0, {});
  run();
  hear();
  EXPECT_TRUE(tls_.read().starts_with("250 2.0.0 Stored"));
}

// What TLS itself answers is bounded as replies are.
TEST_F(ConnectionTlsTest, StopsReadingWhoAsksForNewKeysAndReadsNone) {  // E12
  constexpr int kMost = 50'000;  // a megabyte of answers, and more
  connect({.hostname = "mx.test", .tls_first = true}, &*context_);
  shake_hands();
  int updates = 0;
  for (; updates < kMost; ++updates) {
    const std::string octets = tls_.update_keys();
    if (::send(client_.get(), octets.data(), octets.size(), MSG_NOSIGNAL) < 0) break;
    event_base_loop(base_.get(), EVLOOP_NONBLOCK);
  }
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_LT(updates, kMost);
  EXPECT_FALSE(finished_);
}

TEST_F(ConnectionTlsTest, EndsWithoutAReplyWhereNoHandshakeComes) {  // K5
  connect_with_starttls();
  send("STARTTLS\r\n");
  EXPECT_TRUE(receive().starts_with("220 "));
  send("MAIL FROM:<a@x.org>\r\n");
  EXPECT_EQ(receive(), "");
  EXPECT_TRUE(finished_);
  EXPECT_THAT(lines_, Contains(HasSubstr("TLS handshake failed (wrong version number)")));
}

TEST_F(ConnectionTlsTest, TurnsItsClientAwayAndSaysThatNothingFollows) {  // K8
  connect({.hostname = "mx.test", .tls_first = true}, &*context_);
  shake_hands();
  connection_->turn_away();
  run();
  hear();
  EXPECT_THAT(tls_.read(), HasSubstr("421 4.3.2 "));
  EXPECT_TRUE(tls_.at_end());
  EXPECT_TRUE(finished_);
}

TEST_F(ConnectionTlsTest, EndsWhenItsClientLeavesDuringTheHandshake) {
  connect({.hostname = "mx.test", .tls_first = true}, &*context_);
  client_.reset();
  run();
  EXPECT_TRUE(finished_);
}

TEST_F(ConnectionTlsTest, GivesUpTheWaitForRoomOfAClientThatSaysThatNothingFollows) {
  connect({.hostname = "mx.test", .tls_first = true}, &*context_);
  shake_hands();
  has_room_ = false;
  ask("LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nDATA\r\n");
  answer_oldest();
  send(tls_.close());
  connection_->on_tick();
  run();
  EXPECT_FALSE(finished_);
  ASSERT_EQ(::shutdown(client_.get(), SHUT_WR), 0);
  run();
  connection_->on_tick();
  run();
  EXPECT_TRUE(finished_);
}

class CutShort : public ConnectionTlsTest {
 protected:
  // All up to the dot; then the record of the dot itself.
  std::string send_all_but_the_dot() {
    connect({.hostname = "mx.test", .tls_first = true}, &*context_);
    shake_hands();
    ask("LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nDATA\r\n");
    answer_oldest();
    ask("text\r\n");
    return tls_.say(".\r\n");
  }
};

TEST_F(CutShort, NothingIsDeliveredWhereTheDotIsNotWhole) {  // K8
  const std::string dot = send_all_but_the_dot();
  send(std::string_view(dot).substr(0, dot.size() - 1));
  client_.reset();
  run();
  EXPECT_TRUE(finished_);
  EXPECT_EQ(delivering_, 0U);
}

TEST_F(CutShort, NothingIsDeliveredWhereTheDotWasAltered) {  // K8
  std::string dot = send_all_but_the_dot();
  dot.back() = static_cast<char>(dot.back() ^ 1);
  send(dot);
  EXPECT_TRUE(finished_);
  EXPECT_EQ(delivering_, 0U);
  EXPECT_THAT(lines_, Contains(HasSubstr("TLS failed (")));
  hear();
  EXPECT_EQ(tls_.read(), "");
  EXPECT_THAT(openssl_words(), HasSubstr("alert bad record mac"));  // RFC 8446 5.2
}

}  // namespace
}  // namespace lmtpd::frontend
