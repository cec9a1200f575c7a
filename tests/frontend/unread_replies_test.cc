// A client that sends and does not read, over every transport: memory is bounded, and nothing is
// lost when it reads at last.
#include <gtest/gtest.h>

#include <string>

#include "tests/base/allocated.h"
#include "tests/frontend/socket_stage.h"

namespace lmtpd::frontend {
namespace {

class UnreadReplies : public testing::TestWithParam<Transport> {
 protected:
  void begin() {
    settings_.junk_command_limit = UINT32_MAX;
    stage_.begin(settings_, {});
    EXPECT_EQ(stage_.read_line(), "220 mx.test LMTP lmtpd ready");
    stage_.stop_reading();
  }
  // Of the next `count` lines, those that begin with `reply`.
  std::size_t read(std::size_t count, std::string_view reply) {
    std::size_t equal = 0;
    for (std::size_t i = 0; i < count; ++i) {
      equal += stage_.read_line().value_or("none").starts_with(reply) ? 1 : 0;
    }
    return equal;
  }

  session::Settings settings_{.hostname = "mx.test"};
  SocketStage stage_{GetParam(), session::Manner::pipelined, {}};
};

TEST_P(UnreadReplies, StopTheServerFromReading) {  // E12
  constexpr std::size_t kGroup = 1000;             // commands
  constexpr std::string_view kReply = "250 2.0.0 Ok\r\n";
  // What the kernel has room for: megabytes, as it is set up.
  constexpr std::size_t kMostUnread = 64 * 1024 * 1024;
  // Of the connection's memory: 64 KiB in each of three strings, which may be half empty.
  [[maybe_unused]] constexpr std::size_t kMostMemory = 3 * 2 * 64 * 1024;
  std::string group;
  for (std::size_t i = 0; i < kGroup; ++i) group += "NOOP\r\n";
  begin();
  [[maybe_unused]] const std::size_t before = allocated();
  std::size_t sent = 0;
  for (; stage_.octets_before_server() == 0; sent += kGroup) {
    ASSERT_LT(sent * kReply.size(), kMostUnread);
    stage_.send(group);
  }
#ifndef LMTPD_SANITIZED  // another allocator
  EXPECT_LT(allocated() - before, kMostMemory);
#endif
  stage_.say_farewell();
  stage_.read_again();
  EXPECT_EQ(read(sent, "250 2.0.0"), sent);
  EXPECT_EQ(stage_.read_line(), std::nullopt);
}

TEST_P(UnreadReplies, OfTenThousandRecipientsAllCome) {  // E12
  constexpr std::size_t kRecipients = 10'000;
  stage_.backend().add_mailbox("a@x.org", {"a"});
  begin();
  std::string group = "LHLO c\r\nMAIL FROM:<>\r\n";
  for (std::size_t i = 0; i < kRecipients; ++i) group += "RCPT TO:<nobody@x.org>\r\n";
  stage_.send(group + "RCPT TO:<a@x.org>\r\nQUIT\r\n");
  stage_.read_again();
  while (stage_.read_line().value_or("250 ").starts_with("250-")) continue;
  EXPECT_EQ(read(1, "250 2.1.0"), 1U);
  EXPECT_EQ(read(kRecipients, "550 5.1.1"), kRecipients);
  EXPECT_EQ(read(1, "250 2.1.5"), 1U);
  EXPECT_EQ(read(1, "221 2.0.0"), 1U);
  EXPECT_EQ(stage_.read_line(), std::nullopt);
}

// Who may not send mail yet, and may be one of thousands, leaves in the kernel what has to wait.
TEST_P(UnreadReplies, OfAStrangersLoginsLeaveTheRestToTheKernel) {  // E12
  constexpr std::size_t kLogins = 2000;
  // A piece of that many octets; with TLS it may end a record, of which OpenSSL has had the rest.
  const std::size_t most_taken = (GetParam() == Transport::tls ? 20 : 4) * 1024;
  settings_.auth_mechanisms = {"SCRAM-SHA-256"};
  settings_.auth = session::AuthUse::required;
  begin();
  const std::string login = "AUTH SCRAM-SHA-256 biws\r\n";
  const std::string longest = login.substr(0, 19) + std::string(8192 - 21, '=') + "\r\n";
  std::string group;
  for (std::size_t i = 0; i < kLogins; ++i) group += login;
  stage_.send("LHLO c\r\n" + longest);
  ASSERT_EQ(stage_.octets_before_server(), 0U);
  stage_.send(group);
  EXPECT_GE(stage_.octets_before_server(), group.size() - most_taken);
  stage_.read_again();
  while (stage_.read_line().value_or("250 ").starts_with("250-")) continue;
  EXPECT_EQ(read(1, "501 5.5.2"), 1U);
  EXPECT_EQ(read(kLogins, "454 4.7.0"), kLogins);
}

INSTANTIATE_TEST_SUITE_P(Frontend, UnreadReplies, testing::ValuesIn(kTransports),
                         [](const auto& one) { return name_of(one.param); });

}  // namespace
}  // namespace lmtpd::frontend
