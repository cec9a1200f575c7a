#include "bench/blast/dialogue.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lmtpd/base/unique_fd.h"

namespace lmtpd::blast {
namespace {

// The client's side of a dialogue: what it sends, what it hears, in the words of the RFC.
class DialogueTest : public ::testing::Test, private Dialogue::Listener {
 protected:
  void open(Dialogue::Options options, const char* capabilities = "250 PIPELINING\r\n") {
    options.lhlo = "client";
    Dialogue::Listener& self = *this;
    dialogue_ = std::make_unique<Dialogue>(options, outbox_, self);
    hear("220 server ready\r\n");
    EXPECT_EQ(sent(), options.smtp ? "EHLO client\r\n" : "LHLO client\r\n");
    hear(std::string("250-server\r\n") + capabilities);
  }
  void to(std::vector<std::string> recipients) { recipients_ = std::move(recipients); }

  void hear(const std::string& octets) {
    auto outcome = dialogue_->receive(octets);
    if (!outcome) failure_ = outcome.error();
  }

  // Everything in the outbox, through a socket as in earnest.
  std::string sent() {
    std::array<int, 2> pair{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.data()), 0);
    const UniqueFd from(pair[0]);
    const UniqueFd into(pair[1]);
    EXPECT_TRUE(outbox_.write_to(from.get()).has_value());
    std::string text(65536, '\0');
    const ssize_t n = ::recv(into.get(), text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
  }

  std::string failure_;
  std::vector<std::string> log_;
  std::unique_ptr<Dialogue> dialogue_;

 private:
  void on_ready() override {
    if (recipients_.empty()) {
      dialogue_->quit();
      return;
    }
    dialogue_->start({.from = "f@x",
                      .recipients = std::exchange(recipients_, {}),
                      .id = "id",
                      .head = "head\r\n",
                      .middle = "middle\r\n",
                      .tail = ".\r\n"});
  }
  void on_data_queued() override { log_.emplace_back("data"); }
  void on_stored(const std::string& recipient) override { log_.push_back("stored " + recipient); }
  void on_tempfail(const std::string& recipient) override { log_.push_back("later " + recipient); }
  void on_message_end() override { log_.emplace_back("end"); }

  std::vector<std::string> recipients_;
  Outbox outbox_;
};

using Strings = std::vector<std::string>;

TEST_F(DialogueTest, PipelinesTheEnvelopeAndQuitsWhenNothingIsLeft) {
  to({"a@x", "b@x"});
  open({});
  EXPECT_EQ(sent(), "MAIL FROM:<f@x>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n");
  hear("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
  EXPECT_EQ(sent(), "head\r\nmiddle\r\n.\r\n");
  hear("250 a\r\n");
  EXPECT_EQ(dialogue_->waiting_for(), "reply 2 of 2 after the dot, for <b@x>");
  hear("250 b\r\n");
  EXPECT_EQ(log_, (Strings{"data", "stored a@x", "stored b@x", "end"}));
  EXPECT_EQ(sent(), "QUIT\r\n");
  EXPECT_FALSE(dialogue_->end_of_input().has_value());
  hear("221 bye\r\n");
  EXPECT_TRUE(dialogue_->end_of_input().has_value());
  EXPECT_EQ(failure_, "");
}

TEST_F(DialogueTest, OverSmtpOneReplyAfterTheDotIsForAllRecipients) {
  to({"a@x", "b@x", "c@x"});
  open({.smtp = true, .allow_tempfail = true});
  hear("250 ok\r\n250 ok\r\n451 later\r\n250 ok\r\n354 go\r\n");
  EXPECT_EQ(dialogue_->waiting_for(), "the reply after the dot");
  hear("250 queued\r\n");
  EXPECT_EQ(log_, (Strings{"later b@x", "data", "stored a@x", "stored c@x", "end"}));
  EXPECT_EQ(failure_, "");
  hear("250 queued\r\n");
  EXPECT_EQ(failure_, "the reply to QUIT: wanted 221, got \"250 queued\"");
}

TEST_F(DialogueTest, OverSmtpATempfailAfterTheDotIsForAllRecipients) {
  to({"a@x", "b@x"});
  open({.smtp = true, .allow_tempfail = true});
  hear("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n452 full\r\n");
  EXPECT_EQ(log_, (Strings{"data", "later a@x", "later b@x", "end"}));
  EXPECT_EQ(failure_, "");
}

TEST_F(DialogueTest, SendsOneCommandAtATimeWherePipeliningIsNotOffered) {
  to({"a@x", "b@x"});
  open({}, "250 8BITMIME\r\n");
  EXPECT_EQ(sent(), "MAIL FROM:<f@x>\r\n");
  hear("250 ok\r\n");
  EXPECT_EQ(sent(), "RCPT TO:<a@x>\r\n");
  hear("250 ok\r\n");
  EXPECT_EQ(sent(), "RCPT TO:<b@x>\r\n");
  hear("250 ok\r\n");
  EXPECT_EQ(sent(), "DATA\r\n");
}

TEST_F(DialogueTest, NamesTheReplyThatIsWrong) {
  to({"a@x", "b@x"});
  open({});
  hear("250 ok\r\n250 ok\r\n451 later\r\n");
  EXPECT_EQ(failure_, "the reply to RCPT TO:<b@x>: wanted 250, got \"451 later\"");
}

TEST_F(DialogueTest, AReplyTooManyIsNotTakenForTheNextCommands) {
  to({"a@x"});
  open({});
  hear("250 ok\r\n250 ok\r\n354 go\r\n");
  to({"b@x"});
  hear("250 stored\r\n250 stored\r\n");
  EXPECT_EQ(failure_, "a reply that nothing asked for: \"250 stored\"");
}

TEST_F(DialogueTest, TempfailsAreToldPerRecipientAndTheEnvelopeIsReset) {
  to({"a@x", "b@x"});
  open({.allow_tempfail = true});
  (void)sent();
  hear("250 ok\r\n451 no\r\n452 no\r\n503 none\r\n");
  EXPECT_EQ(sent(), "RSET\r\n");
  hear("250 ok\r\n");
  EXPECT_EQ(log_, (Strings{"later a@x", "later b@x", "end"}));
  EXPECT_EQ(failure_, "");
}

TEST_F(DialogueTest, A354AfterNoRecipientIsWrong) {
  to({"a@x"});
  open({.allow_tempfail = true});
  hear("250 ok\r\n451 no\r\n354 go\r\n");
  EXPECT_EQ(failure_, "the reply to DATA: wanted 4xx or 5xx, got \"354 go\"");
}

TEST_F(DialogueTest, A421EndsTheConnectionAndTempfailsWhatHasNoAnswer) {
  to({"a@x", "b@x"});
  open({.allow_tempfail = true});
  hear("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 stored\r\n421 closing\r\n");
  EXPECT_EQ(log_, (Strings{"data", "stored a@x", "later b@x", "end"}));
  EXPECT_TRUE(dialogue_->refused());
  EXPECT_TRUE(dialogue_->end_of_input().has_value());
}

TEST_F(DialogueTest, A5xxIsWrongEvenWhereTempfailsAreAllowed) {
  to({"a@x"});
  open({.allow_tempfail = true});
  hear("250 ok\r\n550 unknown\r\n");
  EXPECT_EQ(failure_, "the reply to RCPT TO:<a@x>: wanted 250, got \"550 unknown\"");
}

}  // namespace
}  // namespace lmtpd::blast
