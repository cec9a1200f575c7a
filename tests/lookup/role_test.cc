#include "lookup/role.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <memory>

#include "lmtpd/base/messages.h"
#include "lookup/note_log.h"
#include "tests/lookup/fake_table.h"
#include "tests/lookup/role_site.h"

namespace lmtpd::lookup {
namespace {

// Master and the frontends are this test, on the other ends of real channels.
class LookupRole : public testing::Test, protected RoleSite {
 protected:
  LookupRole()
      : RoleSite(make_ticket_key(), {"PLAIN", "SCRAM-SHA-256"},
                 [](const StoredPassword& stored, std::string_view password) {
                   return stored.matches(password);
                 }) {
    mailbox_.add("user@d.org", "d.org/user/");
    mailbox_.add("user2@d.org", "d.org/user2/");
    for (const char* address : {"user@d.org", "user2@d.org"}) {
      uid_.add(address, "1001");
      gid_.add(address, "1002");
    }
  }

  std::unique_ptr<Channel> introduce(std::uint32_t instance) {
    return std::make_unique<Channel>(RoleSite::introduce(instance));
  }
  template <class Message>
  void send(Channel& channel, const Message& message, std::vector<UniqueFd> descriptors = {}) {
    channel.send(message, std::move(descriptors));
    EXPECT_EQ(channel.flush(), Channel::Status::ok);
    turn();
  }
  struct Received {
    std::uint64_t id;
    Reason reason;
    std::string text;
    std::vector<std::pair<std::string, std::string>> targets;  // ticket, delivered_to
    bool goes_on;
  };
  std::vector<Received> receive(Channel& frontend) {
    std::vector<Received> all;
    while (frontend.receive(packet_) == Channel::Status::ok) {
      ++packets_;
      for (const Frame& frame : packet_.frames()) {
        const auto message = decode<Resolved>(frame.payload);
        EXPECT_TRUE(message);
        Received one{
            message->id, message->reason, std::string(message->text), {}, message->goes_on};
        for (const Target& target : message->targets) {
          one.targets.emplace_back(target.ticket, target.delivered_to);
        }
        all.push_back(std::move(one));
      }
    }
    return all;
  }
  // An alias with so many mailboxes, whose paths have about so many octets.
  void add_list(const std::string& name, int mailboxes, std::size_t path_size) {
    for (int i = 0; i < mailboxes; ++i) {
      const std::string member = fmt::format("{}{}@d.org", name, i);
      alias_.add(name + "@d.org", member);
      std::string path = member + "/";
      while (path.size() < path_size) path += std::string(199, 'x') + "/";
      mailbox_.add(member, path);
      uid_.add(member, "1001");
      gid_.add(member, "1002");
    }
  }
  // As long as more comes.
  std::vector<Received> receive_all(Channel& frontend) {
    std::vector<Received> all;
    for (std::size_t before = 1; before > 0;) {
      turn();
      std::vector<Received> more = receive(frontend);
      before = more.size();
      std::move(more.begin(), more.end(), std::back_inserter(all));
    }
    return all;
  }
  std::string ticket_for(Channel& frontend, const std::string& address) {
    send(frontend, Resolve{1, address});
    const auto answers = receive(frontend);
    return answers.at(0).targets.at(0).first;
  }
  bool is_closed(Channel& channel) {
    Channel::Status status{};
    while ((status = channel.receive(packet_)) == Channel::Status::ok) {
    }
    return status == Channel::Status::closed;
  }
  void answer_in(Rounds& rounds) {
    for (FakeTable* table : {&mailbox_, &uid_, &gid_}) table->answer_in(&rounds);
  }

  Packet packet_;
  int packets_ = 0;
};

TEST_F(LookupRole, SaysReadyAndEndsWhenToldTo) {
  master_->send(Stop{});
  EXPECT_EQ(master_->flush(), Channel::Status::ok);
  EXPECT_EQ(role_->run(), 0);
  ASSERT_EQ(master_->receive(packet_), Channel::Status::ok);
  EXPECT_EQ(packet_.frames()[0].type, static_cast<std::uint16_t>(MessageType::ready));
}

TEST_F(LookupRole, EndsWithoutItsMaster) {
  master_.reset();
  EXPECT_EQ(role_->run(), 1);
}

TEST_F(LookupRole, AnswersWithTicketsThatOutliveTheTransaction) {
  const auto frontend = introduce(0);
  send(*frontend, Resolve{77, "USER@D.ORG"});
  const auto answers = receive(*frontend);
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].id, 77U);
  ASSERT_EQ(answers[0].targets.size(), 1U);
  const auto& [sealed, delivered_to] = answers[0].targets[0];
  EXPECT_EQ(delivered_to, "user@d.org");
  const MailboxOwner owner{Uid(1001), Gid(1002)};
  const Clock::time_point end = Clock::now() + settings_.transaction_time_limit;
  const auto ticket = open_ticket_as_worker(derive_worker_key(key_, owner), owner, sealed, end);
  ASSERT_TRUE(ticket);
  EXPECT_EQ(ticket->path.value(), "d.org/user");
  EXPECT_FALSE(open_ticket_as_maker(key_, sealed, end + std::chrono::minutes(11)));
}

TEST_F(LookupRole, TellsWhyThereIsNoMailbox) {
  const auto frontend = introduce(0);
  const std::pair<std::string, Reason> cases[] = {{"nobody@d.org", Reason::unknown_user},
                                                  {"a b@d.org", Reason::bad_address},
                                                  {"\xff@d.org", Reason::bad_utf8}};
  for (const auto& [address, reason] : cases) {
    send(*frontend, Resolve{5, address});
    const auto answers = receive(*frontend);
    ASSERT_EQ(answers.size(), 1U) << address;
    EXPECT_TRUE(answers[0].targets.empty());
    EXPECT_EQ(answers[0].reason, reason) << address;
    EXPECT_FALSE(answers[0].text.empty());
  }
}

TEST_F(LookupRole, AsksForAllRecipientsOfAPacketAtOnceAndAnswersInOnePacket) {
  Rounds rounds;
  answer_in(rounds);
  const auto frontend = introduce(0);
  for (std::uint64_t id = 0; id < 50; ++id) {
    frontend->send(Resolve{id, id % 2 == 0 ? "user@d.org" : "user2@d.org"});
  }
  EXPECT_EQ(frontend->flush(), Channel::Status::ok);
  turn();
  EXPECT_EQ(rounds.waiting(), 50U * 2);  // full and @domain key, before the first answer
  rounds.play_all();
  turn();
  EXPECT_EQ(rounds.played(), 2);
  EXPECT_EQ(receive(*frontend).size(), 50U);
  EXPECT_EQ(packets_, 1);
}

TEST_F(LookupRole, AnswersWithAsManyMailboxesAsTheExpansionLimitAllows) {
  add_list("list", 1000, 1000);
  const auto frontend = introduce(0);
  send(*frontend, Resolve{5, "list@d.org"});
  const std::vector<Received> answers = receive_all(*frontend);
  ASSERT_GT(answers.size(), 1U);
  std::vector<std::string> delivered_to;
  for (const Received& answer : answers) {
    EXPECT_EQ(answer.id, 5U);
    EXPECT_EQ(answer.goes_on, &answer != &answers.back());
    for (const auto& [ticket, address] : answer.targets) {
      EXPECT_TRUE(read_ticket(ticket));
      delivered_to.push_back(address);
    }
  }
  ASSERT_EQ(delivered_to.size(), 1000U);
  EXPECT_EQ(delivered_to.front(), "list0@d.org");
  EXPECT_EQ(delivered_to.back(), "list999@d.org");
}

// It has asked for all in one packet, and could not have read any before.
TEST_F(LookupRole, DefersRecipientsWhoseAnswersWouldPileUp) {
  constexpr std::uint64_t kAsked = 300;
  add_list("list", 26, 3800);  // more than half of what a packet holds, so that each is one
  const auto frontend = introduce(0);
  for (std::uint64_t id = 0; id < kAsked; ++id) frontend->send(Resolve{id, "list@d.org"});
  EXPECT_EQ(frontend->flush(), Channel::Status::ok);
  std::size_t resolved = 0;
  std::size_t deferred = 0;
  for (const Received& answer : receive_all(*frontend)) {
    if (answer.targets.empty()) {
      EXPECT_EQ(answer.reason, Reason::overload);
      ++deferred;
    } else if (!answer.goes_on) {
      ++resolved;
    }
  }
  EXPECT_GT(resolved, 0U);
  EXPECT_GT(deferred, 0U);
  EXPECT_EQ(resolved + deferred, kAsked);
  EXPECT_FALSE(is_closed(*frontend));
}

TEST_F(LookupRole, HasAWorkerStartedForAValidTicket) {
  const auto frontend = introduce(3);
  const std::string ticket = ticket_for(*frontend, "user@d.org");
  send(*frontend, WantWorker{ticket});
  const auto wanted = workers_wanted();
  ASSERT_EQ(wanted.size(), 1U);
  EXPECT_EQ(wanted[0].frontend, 3U);
  EXPECT_EQ(wanted[0].owner, (MailboxOwner{Uid(1001), Gid(1002)}));
  EXPECT_FALSE(is_closed(*frontend));
}

TEST_F(LookupRole, ClosesAFrontendWithAForgedTicket) {
  const auto honest = introduce(0);
  const std::string ticket = ticket_for(*honest, "user@d.org");
  const MailboxOwner root{Uid(1), Gid(1)};
  std::vector<std::string> forged = {
      "", "junk", ticket + "x", ticket.substr(0, ticket.size() - 1),
      seal_ticket(make_ticket_key(),
                  {root, *MailboxPath::parse("d.org/user/"), Clock::now() + std::chrono::hours(1)}),
      // A worker's own key is not the maker's.
      seal_ticket(derive_worker_key(key_, root),
                  {root, *MailboxPath::parse("d.org/user/"), Clock::now() + std::chrono::hours(1)}),
      seal_ticket(key_, {root, *MailboxPath::parse("d.org/user/"), Clock::now()}),  // expired
  };
  for (std::size_t at = 0; at < ticket.size(); ++at) {
    std::string altered = ticket;
    altered[at] = static_cast<char>(altered[at] ^ 1);
    forged.push_back(altered);
  }
  for (std::size_t i = 0; i < forged.size(); ++i) {
    const auto frontend = introduce(1);
    send(*frontend, WantWorker{forged[i]});
    EXPECT_TRUE(is_closed(*frontend)) << "forgery " << i;
    EXPECT_TRUE(workers_wanted().empty()) << "forgery " << i;
  }
  EXPECT_FALSE(is_closed(*honest));
  send(*honest, WantWorker{ticket});
  EXPECT_EQ(workers_wanted().size(), 1U);
}

TEST_F(LookupRole, ClosesAFrontendThatSendsWhatItMayNot) {
  const auto expect_closed = [&](const std::function<void(Channel&)>& misbehave) {
    const auto frontend = introduce(0);
    misbehave(*frontend);
    turn();
    EXPECT_TRUE(is_closed(*frontend));
  };
  expect_closed([&](Channel& c) { send(c, Ready{}); });
  expect_closed([&](Channel& c) { send(c, Stop{}); });
  expect_closed(
      [&](Channel& c) { send(c, StartWorker{.frontend = 0, .owner = {Uid(1), Gid(1)}}); });
  expect_closed([&](Channel& c) { send(c, Resolved{.id = 1}); });
  expect_closed([&](Channel& c) {
    std::vector<UniqueFd> descriptor;
    descriptor.emplace_back(::dup(0));
    send(c, Resolve{1, "user@d.org"}, std::move(descriptor));
  });
}

TEST_F(LookupRole, ClosesAFrontendThatAsksBeyondItsWindow) {
  Rounds rounds;
  answer_in(rounds);
  const auto frontend = introduce(0);
  for (std::uint64_t id = 0; id < kResolveWindow; ++id) {
    frontend->send(Resolve{id, "user@d.org"});
    if (id % 256 == 0) {
      EXPECT_EQ(frontend->flush(), Channel::Status::ok);
      turn();
    }
  }
  EXPECT_EQ(frontend->flush(), Channel::Status::ok);
  turn();
  EXPECT_FALSE(is_closed(*frontend));
  send(*frontend, Resolve{kResolveWindow, "user@d.org"});
  EXPECT_TRUE(is_closed(*frontend));
  rounds.play_all();  // to nobody
}

TEST_F(LookupRole, DropsTheAnswersOfAFrontendThatIsGone) {
  Rounds rounds;
  answer_in(rounds);
  auto gone = introduce(0);
  send(*gone, Resolve{1, "user@d.org"});
  gone.reset();
  turn();
  const auto back = introduce(0);
  rounds.play_all();
  turn();
  EXPECT_TRUE(receive(*back).empty());
  send(*back, Resolve{2, "user@d.org"});
  rounds.play_all();
  turn();
  EXPECT_EQ(receive(*back).size(), 1U);
}

TEST_F(LookupRole, TakesANewChannelForAFrontendThatWasRestarted) {
  const auto old = introduce(0);
  const auto fresh = introduce(0);
  EXPECT_TRUE(is_closed(*old));
  send(*fresh, Resolve{1, "user@d.org"});
  EXPECT_EQ(receive(*fresh).size(), 1U);
}

TEST(NoteLog, WritesOneNoteOfAKeyAnInterval) {
  std::vector<std::string> written;
  NoteLog log([&](const std::string& note) { written.push_back(note); });
  const Clock::time_point start{};
  log.write({{"a", "a1"}, {"b", "b1"}, {"a", "a2"}}, start);
  log.write({{"a", "a3"}}, start + NoteLog::kInterval - std::chrono::seconds(1));
  EXPECT_EQ(written, (std::vector<std::string>{"a1", "b1"}));
  log.write({{"a", "a4"}}, start + NoteLog::kInterval);
  log.write({{"a", "a5"}}, start + NoteLog::kInterval + std::chrono::seconds(1));
  EXPECT_EQ(written, (std::vector<std::string>{"a1", "b1", "a4"}));
}

TEST_F(LookupRole, RunsSaslExchangesForItsFrontends) {
  passwords_.add("tim", "{DES-CRYPT}secleh8igablY");
  const auto frontend = introduce(0);
  send(*frontend, Authenticate{.id = 5, .address = "192.0.2.1", .mechanism = "PLAIN"});
  ASSERT_EQ(frontend->receive(packet_), Channel::Status::ok);
  const auto challenge = decode<AuthStep>(packet_.frames()[0].payload);
  ASSERT_TRUE(challenge);
  EXPECT_EQ(challenge->id, 5U);
  EXPECT_EQ(challenge->kind, static_cast<std::uint8_t>(AuthStep::Kind::challenge));
  send(*frontend, AuthResponse{.id = 5, .response = {"\0tim\0pencil", 11}});
  Channel::Status status = frontend->receive(packet_);
  while (status == Channel::Status::would_block) {  // a thread computes the hash
    event_base_loop(base_.get(), EVLOOP_ONCE);
    status = frontend->receive(packet_);
  }
  ASSERT_EQ(status, Channel::Status::ok);
  const auto outcome = decode<AuthStep>(packet_.frames()[0].payload);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->kind, static_cast<std::uint8_t>(AuthStep::Kind::accepted));
  EXPECT_EQ(outcome->text, "tim");
}

TEST_F(LookupRole, EndsAFrontendThatBreaksTheRulesOfExchanges) {
  const auto twice = introduce(0);
  send(*twice, Authenticate{.id = 1, .address = "a", .mechanism = "PLAIN"});
  send(*twice, Authenticate{.id = 1, .address = "a", .mechanism = "PLAIN"});
  EXPECT_TRUE(is_closed(*twice));
  const auto early = introduce(1);
  send(*early, AuthResponse{.id = 1, .response = "x"});
  EXPECT_TRUE(is_closed(*early));
}

// SCRAM's challenge repeats the client's nonce.
TEST_F(LookupRole, EndsAFrontendThatSendsMoreThanAClientCanHaveSaid) {
  const std::string longest = "n,,n=u,r=" + std::string(Channel::kMaxPayload - 50, 'a');
  const auto initial = introduce(0);
  send(*initial, Authenticate{.id = 1,
                              .address = "a",
                              .mechanism = "SCRAM-SHA-256",
                              .has_response = true,
                              .response = longest});
  EXPECT_TRUE(is_closed(*initial));
  const auto later = introduce(1);
  send(*later, Authenticate{.id = 1, .address = "a", .mechanism = "SCRAM-SHA-256"});
  send(*later, AuthResponse{.id = 1, .response = longest});
  EXPECT_TRUE(is_closed(*later));
  const auto name = introduce(2);
  send(*name, Authenticate{.id = 1, .address = longest, .mechanism = "SCRAM-SHA-256"});
  EXPECT_TRUE(is_closed(*name));
}

TEST_F(LookupRole, GivesUpAnExchangeForTheOneBeyondTheWindow) {
  const auto frontend = introduce(0);
  for (std::uint64_t id = 1; id <= kAuthWindow + 1; ++id) {
    frontend->send(Authenticate{.id = id, .address = "a", .mechanism = "PLAIN"});
  }
  EXPECT_EQ(frontend->flush(), Channel::Status::ok);
  turn();
  std::vector<std::uint64_t> given_up;
  std::size_t challenges = 0;
  while (frontend->receive(packet_) == Channel::Status::ok) {
    for (const Frame& frame : packet_.frames()) {
      const auto step = decode<AuthStep>(frame.payload);
      ASSERT_TRUE(step);
      const bool is_challenge = step->kind == static_cast<std::uint8_t>(AuthStep::Kind::challenge);
      if (is_challenge) {
        ++challenges;
      } else {
        given_up.push_back(step->id);
      }
    }
  }
  EXPECT_EQ(challenges, kAuthWindow + 1);
  EXPECT_EQ(given_up, std::vector<std::uint64_t>{1});
  send(*frontend, AuthResponse{.id = 1, .response = "x"});
  EXPECT_FALSE(is_closed(*frontend));
}

}  // namespace
}  // namespace lmtpd::lookup
