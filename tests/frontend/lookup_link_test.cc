#include "lmtpd/frontend/lookup_link.h"

#include <gtest/gtest.h>

#include "tests/frontend/far_end.h"

namespace lmtpd::frontend {
namespace {

class LookupLinks : public testing::Test, public LookupLink::Asker {
 protected:
  struct Answer {
    std::uint64_t connection;
    std::uint64_t request;
    Result<std::vector<session::Mailbox>> mailboxes;
  };
  void on_resolved(std::uint64_t connection, std::uint64_t request,
                   Result<std::vector<session::Mailbox>> mailboxes) override {
    answers_.push_back({connection, request, std::move(mailboxes)});
    if (asks_again_) ask(connection, request + answers_.size(), "again@d.org", "first");
  }
  void on_auth_step(std::uint64_t connection, session::AuthStep step) override {
    steps_.emplace_back(connection, std::move(step));
  }
  void on_lookup_lost() override { ++lost_; }
  void count(Counter counter) override { counted_.push_back(counter); }

  // As many as lookup may be asked, and so many more, of one client and his one connection.
  void fill_window(std::size_t beyond) {
    for (std::uint64_t i = 0; i < kResolveWindow + beyond; ++i) ask(1, i, "a@d.org", "first");
  }
  std::vector<std::uint64_t> receive_window() {
    return receive_questions(base_.get(), lookup_, kResolveWindow);
  }
  void ask(std::uint64_t connection, std::uint64_t request, const std::string& address,
           const std::string& client = "uid 1") {
    link_.resolve(connection, request, client, address);
  }
  // What is asked in place of this.
  std::string refuse(std::uint64_t id) {
    lookup_.send(Resolved{.id = id, .reason = Reason::unknown_user});
    run_loop(base_.get());
    std::string addresses;
    for (const Resolve& one : lookup_.receive<Resolve>()) addresses += one.address;
    return addresses;
  }

  const EventBasePtr base_{event_base_new()};
  LookupLink link_{base_.get(), *this};
  FarEnd lookup_;
  std::vector<Answer> answers_;
  bool asks_again_ = false;  // whoever is answered
  std::vector<std::pair<std::uint64_t, session::AuthStep>> steps_;
  int lost_ = 0;
  std::vector<Counter> counted_;
};

TEST_F(LookupLinks, SendAllOfOneTurnInOnePacketAndAnswerById) {
  link_.connect(lookup_.open());
  ask(7, 1, "a@d.org");
  ask(8, 1, "b@d.org");
  run_loop(base_.get());
  const std::vector<Resolve> asked = lookup_.receive<Resolve>();
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[1].address, "b@d.org");

  const std::string ticket = seal_ticket(
      make_ticket_key(),
      {MailboxOwner{Uid(1001), Gid(1001)}, *MailboxPath::parse("d.org/b/"), Clock::now()});
  lookup_.send(Resolved{.id = asked[1].id, .targets = {{ticket, "b@d.org"}}});
  lookup_.send(Resolved{.id = asked[0].id, .reason = Reason::unknown_user, .text = "no such user"});
  run_loop(base_.get());
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_EQ(answers_[0].connection, 8U);
  ASSERT_TRUE(answers_[0].mailboxes);
  EXPECT_EQ(answers_[0].mailboxes->at(0).path, "d.org/b");
  EXPECT_EQ(answers_[0].mailboxes->at(0).ticket, ticket);
  EXPECT_EQ(answers_[1].connection, 7U);
  EXPECT_EQ(answers_[1].mailboxes.error().reason, Reason::unknown_user);
}

TEST_F(LookupLinks, PutTogetherWhatComesInSeveralMessages) {
  link_.connect(lookup_.open());
  ask(7, 1, "list@d.org");
  ask(8, 1, "broken@d.org");
  run_loop(base_.get());
  const std::vector<Resolve> asked = lookup_.receive<Resolve>();
  ASSERT_EQ(asked.size(), 2U);
  const std::uint64_t list = asked[0].id;
  const std::uint64_t broken = asked[1].id;
  const std::string ticket = seal_ticket(
      make_ticket_key(),
      {MailboxOwner{Uid(1001), Gid(1001)}, *MailboxPath::parse("d.org/b/"), Clock::now()});
  lookup_.send(Resolved{.id = list, .targets = {{ticket, "a"}, {ticket, "b"}}, .goes_on = true});
  lookup_.send(Resolved{.id = broken, .targets = {{ticket, "a"}}, .goes_on = true});
  run_loop(base_.get());
  EXPECT_TRUE(answers_.empty());
  lookup_.send(Resolved{.id = broken, .targets = {{"junk", "b"}}, .goes_on = true});
  lookup_.send(Resolved{.id = broken, .targets = {{ticket, "c"}}});
  lookup_.send(Resolved{.id = list, .targets = {{ticket, "c"}}});
  run_loop(base_.get());
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_EQ(answers_[0].mailboxes.error().reason, Reason::lookup_failed);
  ASSERT_TRUE(answers_[1].mailboxes);
  std::string delivered_to;
  for (const session::Mailbox& mailbox : *answers_[1].mailboxes)
    delivered_to += mailbox.delivered_to;
  EXPECT_EQ(delivered_to, "abc");
  EXPECT_EQ(lost_, 0);
}

TEST_F(LookupLinks, FailWhatIsUnderWayWhenLookupIsLostAndGoOnWithANewOne) {
  link_.connect(lookup_.open());
  ask(1, 1, "a@d.org");
  run_loop(base_.get());
  lookup_.close();
  run_loop(base_.get());
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].mailboxes.error().reason, Reason::lookup_failed);
  EXPECT_EQ(lost_, 1);

  // Without a channel: not from within resolve(), but at the next tick.
  ask(1, 2, "a@d.org");
  EXPECT_EQ(answers_.size(), 1U);
  link_.expire(Clock::now());
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_EQ(answers_[1].mailboxes.error().reason, Reason::lookup_failed);

  link_.connect(lookup_.open());
  ask(1, 3, "a@d.org");
  run_loop(base_.get());
  EXPECT_EQ(lookup_.receive<Resolve>().size(), 1U);
}

TEST_F(LookupLinks, AnswerAtTheDeadlineAndTakeTheLateWordForNoFault) {
  link_.connect(lookup_.open());
  ask(1, 1, "a@d.org");
  run_loop(base_.get());
  const std::uint64_t id = lookup_.receive<Resolve>().at(0).id;
  link_.expire(Clock::now() + LookupLink::kDeadline - std::chrono::seconds(1));
  EXPECT_TRUE(answers_.empty());
  link_.expire(Clock::now() + LookupLink::kDeadline);
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].mailboxes.error().reason, Reason::lookup_failed);
  EXPECT_EQ(counted_, std::vector{Counter::lookup_timeouts});
  lookup_.send(Resolved{.id = id, .reason = Reason::unknown_user});
  run_loop(base_.get());
  EXPECT_EQ(answers_.size(), 1U);
  EXPECT_EQ(lost_, 0);
}

TEST_F(LookupLinks, KeepThePlaceOfWhatWasAnsweredAtItsDeadlineUntilLookupHasAnswered) {
  link_.connect(lookup_.open());
  fill_window(0);
  const std::vector<std::uint64_t> asked = receive_window();
  const Clock::time_point late = Clock::now() + LookupLink::kDeadline;
  link_.expire(late);
  link_.expire(late + LookupLink::kDeadline);
  EXPECT_EQ(answers_.size(), kResolveWindow);
  ask(2, 1, "b@d.org");
  lookup_.send(Resolved{.id = asked[7], .targets = {{"junk", "a"}}, .goes_on = true});
  run_loop(base_.get());
  EXPECT_TRUE(lookup_.receive<Resolve>().empty());
  EXPECT_EQ(refuse(asked[7]), "b@d.org");
  EXPECT_EQ(answers_.size(), kResolveWindow);
  EXPECT_EQ(lost_, 0);
}

TEST_F(LookupLinks, AskForANewcomerNextWhoeverFillsTheWindowAndTheQueue) {
  link_.connect(lookup_.open());
  fill_window(3);
  const std::vector<std::uint64_t> asked = receive_window();
  EXPECT_EQ(refuse(asked[0]), "a@d.org");
  ask(2, 1, "b@d.org", "second");
  ask(2, 2, "c@d.org", "second");
  EXPECT_EQ(refuse(asked[1]), "b@d.org");
  EXPECT_EQ(refuse(asked[2]), "a@d.org");
  EXPECT_EQ(refuse(asked[3]), "c@d.org");
  EXPECT_EQ(refuse(asked[4]), "a@d.org");
  EXPECT_EQ(refuse(asked[5]), "");
}

TEST_F(LookupLinks, WaitForTheirTurnThoughAnAnswerMakesRoomAsTheyCome) {
  link_.connect(lookup_.open());
  fill_window(0);
  const std::vector<std::uint64_t> asked = receive_window();
  asks_again_ = true;
  ask(2, 1, "b@d.org", "second");
  EXPECT_EQ(refuse(asked[0]), "b@d.org");
  EXPECT_EQ(refuse(asked[1]), "again@d.org");
}

TEST_F(LookupLinks, CountTheDeadlineOfWhatWaitsFromWhenItWasAsked) {
  link_.connect(lookup_.open());
  fill_window(0);
  const std::vector<std::uint64_t> asked = receive_window();
  ask(2, 1, "b@d.org");
  const Clock::time_point begun = Clock::now();
  link_.expire(begun + LookupLink::kDeadline / 2);
  EXPECT_TRUE(answers_.empty());
  link_.expire(begun + LookupLink::kDeadline);
  EXPECT_EQ(answers_.size(), kResolveWindow + 1);
  EXPECT_EQ(counted_, std::vector(kResolveWindow + 1, Counter::lookup_timeouts));
  EXPECT_EQ(refuse(asked[0]), "");
}

TEST_F(LookupLinks, AskNothingForWhoIsGone) {
  link_.connect(lookup_.open());
  fill_window(1);
  const std::vector<std::uint64_t> asked = receive_window();
  ask(2, 1, "b@d.org");
  link_.abandon(1);
  EXPECT_EQ(refuse(asked[0]), "b@d.org");
  EXPECT_EQ(refuse(asked[1]), "");
  link_.abandon(1);
}

TEST_F(LookupLinks, AskWhatWaitedForALookupOnceThereIsOne) {
  ask(7, 1, "a@d.org");
  link_.connect(lookup_.open());
  run_loop(base_.get());
  EXPECT_EQ(lookup_.receive<Resolve>().size(), 1U);
  EXPECT_TRUE(answers_.empty());
}

TEST_F(LookupLinks, AreLostFromTheEndOfOneChannelToTheNext) {
  EXPECT_FALSE(link_.lost());
  link_.connect(lookup_.open());
  lookup_.close();
  run_loop(base_.get());
  EXPECT_TRUE(link_.lost());
  link_.connect(lookup_.open());
  EXPECT_FALSE(link_.lost());
  link_.connect(lookup_.open());  // in place of that one
  EXPECT_FALSE(link_.lost());
}

TEST_F(LookupLinks, EndTheChannelOfALookupThatAnswersWhatWasNotAsked) {
  link_.connect(lookup_.open());
  lookup_.send(Resolved{.id = 99, .reason = Reason::unknown_user});
  run_loop(base_.get());
  EXPECT_EQ(lost_, 1);
  EXPECT_TRUE(lookup_.closed());

  link_.connect(lookup_.open());
  ask(1, 1, "a@d.org");
  run_loop(base_.get());
  const std::uint64_t id = lookup_.receive<Resolve>().at(0).id;
  lookup_.send(Resolved{.id = id, .reason = Reason::unknown_user});
  lookup_.send(Resolved{.id = id, .reason = Reason::unknown_user});
  run_loop(base_.get());
  EXPECT_EQ(answers_.size(), 1U);
  EXPECT_EQ(lost_, 2);
}

using Step = session::AuthStep::Kind;

AuthStep step(std::uint64_t id, AuthStep::Kind kind, std::string_view text = {}) {
  return {.id = id, .kind = static_cast<std::uint8_t>(kind), .text = text};
}

TEST_F(LookupLinks, RelayExchangesAndTellThemApart) {
  link_.connect(lookup_.open());
  link_.begin_auth(7, {.address = "192.0.2.1", .mechanism = "PLAIN", .response = "x"});
  link_.begin_auth(8, {.address = "192.0.2.2", .mechanism = "LOGIN", .response = {}});
  run_loop(base_.get());
  const std::vector<Authenticate> begun = lookup_.receive<Authenticate>();
  ASSERT_EQ(begun.size(), 2U);
  EXPECT_EQ(begun[0].address, "192.0.2.1");
  EXPECT_EQ(begun[0].mechanism, "PLAIN");
  EXPECT_TRUE(begun[0].has_response);
  EXPECT_EQ(begun[0].response, "x");
  EXPECT_FALSE(begun[1].has_response);
  const std::uint64_t login = begun[1].id;

  lookup_.send(step(login, AuthStep::Kind::challenge, "Username:"));
  lookup_.send(step(begun[0].id, AuthStep::Kind::accepted, "tim"));
  run_loop(base_.get());
  ASSERT_EQ(steps_.size(), 2U);
  EXPECT_EQ(steps_[0].first, 8U);
  EXPECT_EQ(steps_[0].second.text, "Username:");
  EXPECT_EQ(steps_[1].first, 7U);
  EXPECT_EQ(steps_[1].second.kind, Step::accepted);
  EXPECT_EQ(steps_[1].second.text, "tim");

  link_.respond_auth(8, "tim");
  run_loop(base_.get());
  const auto response = lookup_.receive<AuthResponse>();
  ASSERT_EQ(response.size(), 1U);
  EXPECT_EQ(response[0].id, login);
  link_.end_auth(8);
  lookup_.send(step(login, AuthStep::Kind::refused));  // on its way
  run_loop(base_.get());
  EXPECT_EQ(lookup_.receive<AuthEnd>().at(0).id, login);
  EXPECT_EQ(steps_.size(), 2U);
  EXPECT_FALSE(lookup_.closed());
}

TEST_F(LookupLinks, ExchangesEndWithTheirChannel) {
  link_.begin_auth(6, {.address = "a", .mechanism = "PLAIN", .response = {}});
  link_.expire(Clock::now());
  ASSERT_EQ(steps_.size(), 1U);  // there was no channel
  link_.connect(lookup_.open());
  link_.begin_auth(7, {.address = "a", .mechanism = "PLAIN", .response = {}});
  link_.begin_auth(8, {.address = "a", .mechanism = "PLAIN", .response = {}});
  run_loop(base_.get());
  const auto begun = lookup_.receive<Authenticate>();
  lookup_.send(step(begun.at(1).id, AuthStep::Kind::challenge));
  run_loop(base_.get());
  ASSERT_EQ(steps_.size(), 2U);
  lookup_.close();
  run_loop(base_.get());
  ASSERT_EQ(steps_.size(), 3U);
  EXPECT_EQ(steps_[2].first, 7U);
  EXPECT_EQ(steps_[2].second.kind, Step::unavailable);
  // Its client had the turn: it hears of it then.
  link_.connect(lookup_.open());
  link_.respond_auth(8, "x");
  link_.expire(Clock::now());
  ASSERT_EQ(steps_.size(), 4U);
  EXPECT_EQ(steps_[3].first, 8U);
  EXPECT_EQ(steps_[3].second.kind, Step::unavailable);
}

TEST_F(LookupLinks, AnExchangeThatLookupGivesUpIsOverAtItsClientsNextResponse) {
  link_.connect(lookup_.open());
  for (const std::uint64_t connection : {7U, 8U}) {
    link_.begin_auth(connection, {.address = "a", .mechanism = "LOGIN", .response = {}});
  }
  run_loop(base_.get());
  for (const Authenticate& begun : lookup_.receive<Authenticate>()) {
    lookup_.send(step(begun.id, AuthStep::Kind::challenge));
    lookup_.send(step(begun.id, AuthStep::Kind::unavailable));
  }
  run_loop(base_.get());
  EXPECT_EQ(steps_.size(), 2U);  // challenges
  link_.respond_auth(7, "x");
  link_.end_auth(8);
  run_loop(base_.get());
  EXPECT_TRUE(lookup_.receive<AuthResponse>().empty());
  link_.expire(Clock::now());
  ASSERT_EQ(steps_.size(), 3U);
  EXPECT_EQ(steps_[2].first, 7U);
  EXPECT_EQ(steps_[2].second.kind, Step::unavailable);
  EXPECT_FALSE(lookup_.closed());
}

// It is lookup that knows which of them gives way.
TEST_F(LookupLinks, BeginAsManyExchangesAsThereAreClients) {
  link_.connect(lookup_.open());
  for (std::uint64_t connection = 1; connection <= kAuthWindow + 1; ++connection) {
    link_.begin_auth(connection, {.address = "a", .mechanism = "LOGIN", .response = {}});
  }
  std::size_t begun = 0;
  for (int i = 0; i < 200 && begun <= kAuthWindow; ++i) {
    run_loop(base_.get());
    begun += lookup_.receive<Authenticate>().size();
  }
  EXPECT_EQ(begun, kAuthWindow + 1);
}

TEST_F(LookupLinks, AnExchangeHasADeadlineWhileItWaitsForLookup) {
  link_.connect(lookup_.open());
  link_.begin_auth(7, {.address = "a", .mechanism = "PLAIN", .response = {}});
  run_loop(base_.get());
  EXPECT_EQ(lookup_.receive<Authenticate>().size(), 1U);
  link_.expire(Clock::now() + AuthLink::kDeadline / 2);
  EXPECT_TRUE(steps_.empty());
  link_.expire(Clock::now() + AuthLink::kDeadline);
  ASSERT_EQ(steps_.size(), 1U);
  EXPECT_EQ(steps_[0].second.kind, Step::unavailable);
  run_loop(base_.get());
  EXPECT_EQ(lookup_.receive<AuthEnd>().size(), 1U) << "or it would keep its place there";
}

TEST_F(LookupLinks, AStepThatIsNotDueEndsTheChannel) {
  link_.connect(lookup_.open());
  lookup_.send(step(1, AuthStep::Kind::accepted, "tim"));
  run_loop(base_.get());
  EXPECT_TRUE(lookup_.closed());

  link_.connect(lookup_.open());
  link_.begin_auth(7, {.address = "a", .mechanism = "PLAIN", .response = {}});
  run_loop(base_.get());
  const std::uint64_t id = lookup_.receive<Authenticate>().at(0).id;
  lookup_.send(step(id, AuthStep::Kind::challenge));
  lookup_.send(step(id, AuthStep::Kind::accepted, "tim"));  // while it is the client's turn
  run_loop(base_.get());
  EXPECT_TRUE(lookup_.closed());
  EXPECT_EQ(steps_.back().second.kind, Step::challenge);
}

}  // namespace
}  // namespace lmtpd::frontend
