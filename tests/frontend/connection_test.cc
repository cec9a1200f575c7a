#include "lmtpd/frontend/connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <optional>
#include <utility>

#include "tests/frontend/far_end.h"

namespace lmtpd::frontend {
namespace {

class ConnectionTest : public testing::Test, public Services {
 protected:
  ConnectionTest() {
    // Datagrams of a kind: what leaves in one send(2) is read in one piece.
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()),
              0);
    client_.reset(ends[0]);
    settings_.hostname = "mx.test";
    connection_.emplace(base_.get(), UniqueFd(ends[1]), 1, settings_, "S1",
                        session::Peer{"localhost", "unix"}, *this);
    run();
    EXPECT_TRUE(receive().starts_with("220 "));
    send("LHLO c\r\n");
    EXPECT_TRUE(receive().starts_with("250-"));
  }

  void resolve(std::uint64_t, std::uint64_t request, std::string address) override {
    asked_.push_back({request, std::move(address)});
  }
  bool resolving_is_full() const override { return false; }
  bool book(const MessageName&, std::uint64_t) override { return true; }
  void release(const MessageName&) override {}
  void deliver(const MessageName& message, Body, std::vector<session::Copy>) override {
    delivering_ = message.body;
  }
  void log(std::string_view line) override { lines_.emplace_back(line); }
  void on_finished(std::uint64_t) override { finished_ = true; }

  void run() { run_loop(base_.get()); }
  void send(std::string_view octets) {
    ASSERT_EQ(::send(client_.get(), octets.data(), octets.size(), 0),
              static_cast<ssize_t>(octets.size()));
    run();
  }
  // What came in one piece; empty: nothing did.
  std::string receive() {
    std::array<char, 4096> buffer{};
    const ssize_t size = ::recv(client_.get(), buffer.data(), buffer.size(), 0);
    return {buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
  }
  void answer_oldest() {
    ASSERT_FALSE(asked_.empty());
    connection_->on_resolved(asked_.front().first,
                             std::vector{session::Mailbox{"t", "x.org/a", asked_.front().second}});
    asked_.erase(asked_.begin());
    run();
  }
  const EventBasePtr base_{event_base_new()};
  session::Settings settings_;
  UniqueFd client_;
  std::optional<Connection> connection_;
  std::vector<std::pair<std::uint64_t, std::string>> asked_;
  std::uint64_t delivering_ = 0;
  std::vector<std::string> lines_;
  bool finished_ = false;
};

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

TEST_F(ConnectionTest, EndsWhenItsClientLeavesWhileTheSessionWaits) {
  send("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nDATA\r\n");
  client_.reset();
  run();
  EXPECT_FALSE(finished_);  // a recipient is being resolved
  answer_oldest();
  EXPECT_TRUE(finished_);
}

}  // namespace
}  // namespace lmtpd::frontend
