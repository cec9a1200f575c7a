// A connection, while another client has filled lookup's window and waits with more.
#include "lmtpd/frontend/lookup_link.h"
#include "tests/frontend/connection_fixture.h"

namespace lmtpd::frontend {
namespace {

class FullWindowTest : public ConnectionFixture, public LookupLink::Asker {
 protected:
  FullWindowTest() {
    link_.connect(lookup_.open());
    connect({.hostname = "mx.test", .size_announced = 1 << 20}, nullptr, &link_);
    EXPECT_TRUE(receive().starts_with("220 "));
  }
  ~FullWindowTest() override { connection_.reset(); }

  void fill_window() {
    for (std::uint64_t i = 0; i < kResolveWindow + session::kMostResolving; ++i) {
      link_.resolve(kOther, i, "another", "user@x.org");
    }
    of_other_ = receive_questions(base_.get(), lookup_, kResolveWindow);
  }
  std::string say(std::string_view octets) {
    send(octets);
    return receive();
  }

  // LookupLink::Asker, and of Services
  void count(Counter) override {}
  void on_resolved(std::uint64_t connection, std::uint64_t request,
                   Result<std::vector<session::Mailbox>> mailboxes) override {
    if (connection != kOther) connection_->on_resolved(request, std::move(mailboxes));
  }
  void on_auth_step(std::uint64_t, session::AuthStep) override {}
  void on_lookup_lost() override {}

  static constexpr std::uint64_t kOther = 99;
  FarEnd lookup_;
  LookupLink link_{base_.get(), *this};
  std::vector<std::uint64_t> of_other_;
};

TEST_F(FullWindowTest, AnswersCommandsAndAsksForItsRecipientsNext) {
  fill_window();
  EXPECT_TRUE(say("LHLO c\r\n").starts_with("250-"));
  EXPECT_EQ(say("NOOP\r\n"), "250 2.0.0 Ok\r\n");
  EXPECT_EQ(say("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\n"), "250 2.1.0 Ok\r\n");
  EXPECT_TRUE(lookup_.receive<Resolve>().empty());
  std::vector<std::string> asked;
  for (std::size_t i = 0; i < 2; ++i) {
    lookup_.send(Resolved{.id = of_other_[i], .reason = Reason::unknown_user});
    run();
    for (const Resolve& one : lookup_.receive<Resolve>()) asked.emplace_back(one.address);
  }
  EXPECT_EQ(asked, (std::vector<std::string>{"user@x.org", "a@x.org"}));
}

TEST_F(FullWindowTest, TakesItsMessage) {
  EXPECT_TRUE(say("LHLO c\r\n").starts_with("250-"));
  EXPECT_EQ(say("MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\n"), "250 2.1.0 Ok\r\n");
  const std::string ticket = seal_ticket(
      Key{7}, {MailboxOwner{Uid(1001), Gid(1001)}, *MailboxPath::parse("x.org/a/"), Clock::now()});
  lookup_.send(Resolved{.id = receive_questions(base_.get(), lookup_, 1)[0],
                        .targets = {{ticket, "a@x.org"}}});
  run();
  EXPECT_EQ(receive(), "250 2.1.5 Ok\r\n");
  fill_window();
  EXPECT_TRUE(say("DATA\r\n").starts_with("354 "));
  send("text\r\n.\r\n");
  ASSERT_NE(delivering_, 0U);
  connection_->on_copy_done(delivering_, 0, {});
  run();
  EXPECT_TRUE(receive().starts_with("250 2.0.0 Stored"));
}

}  // namespace
}  // namespace lmtpd::frontend
