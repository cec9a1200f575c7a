// The worker as its peers see it: a real process that has dropped its privileges, on a real disk.

#include <fcntl.h>
#include <gmock/gmock.h>

#include <array>
#include <fstream>
#include <functional>
#include <regex>
#include <sstream>

#include "tests/delivery/worker_fixture.h"

namespace lmtpd {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kAlice;
using testing::kAllSeals;
using testing::kBob;
using testing::mailbox_path;
using testing::memfd_of;
using testing::Peer;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using ::testing::UnorderedElementsAreArray;
using testing::WorkerProcess;
using testing::WorkerTest;

TEST_F(WorkerTest, DeliversAsTheOwner) {
  make_root_directory("domain.org");
  make_maildir("domain.org/bob", kBob);
  start();
  Peer frontend = worker_->introduce();
  deliver(frontend, 7, worker_->ticket("domain.org/bob"));
  EXPECT_EQ(frontend.hear(), "7 stored");
  ASSERT_THAT(list("domain.org/bob/new"), SizeIs(1));
  const std::string file = "domain.org/bob/new/" + list("domain.org/bob/new")[0];
  EXPECT_EQ(content(file), "H: 1\n\ntext\n");
  EXPECT_TRUE(
      std::regex_match(file, std::regex(R"(.*/\d+\.M\d+P\d+Q\d+\.mx\.example\.org,S=11,W=9)")));
  EXPECT_EQ(status(file).st_uid, kBob.uid.value());
  EXPECT_EQ(status(file).st_gid, kBob.gid.value());
  EXPECT_EQ(mode(file), 0600U);
}

TEST_F(WorkerTest, HasNoPrivilegeLeft) {
  start();
  std::ifstream file("/proc/" + std::to_string(worker_->pid()) + "/status");
  std::stringstream text;
  text << file.rdbuf();
  for (const char* line :
       {"\nUid:\t61002\t61002\t61002\t61002\n", "\nGid:\t61002\t61002\t61002\t61002\n",
        "\nGroups:\t \n", "\nCapInh:\t0000000000000000\n", "\nCapPrm:\t0000000000000000\n",
        "\nCapEff:\t0000000000000000\n", "\nCapAmb:\t0000000000000000\n", "\nNoNewPrivs:\t1\n",
        "\nThreads:\t1\n"}) {
    EXPECT_THAT(text.str(), HasSubstr(line));
  }
}

TEST_F(WorkerTest, DoesNotStartAsRoot) {
  WorkerProcess worker(at(""), MailboxOwner{Uid(0), Gid(0)});
  EXPECT_EQ(worker.master->hear(), "closed");
  EXPECT_EQ(worker.wait(), 1);
}

TEST_F(WorkerTest, DoesNotStartWithoutAMailBase) {
  WorkerProcess worker(at("nothing"), kBob);
  EXPECT_EQ(worker.master->hear(), "closed");
  EXPECT_EQ(worker.wait(), 1);
}

TEST_F(WorkerTest, DeliversOneMessageToSeveralMailboxesAndSaysWhichFailed) {
  make_maildir("bob", kBob);
  make_maildir("bob2", kBob);
  make_maildir("alice", kAlice);
  start();
  Peer frontend = worker_->introduce();
  const std::string bob = worker_->ticket("bob");
  const std::string bob2 = worker_->ticket("bob2");
  const std::string alice = worker_->ticket("alice");
  frontend.send(Deliver{.deliveries = {{.id = 1, .ticket = bob, .headers = "A: 1\n"},
                                       {.id = 2, .ticket = alice, .headers = "B: 1\n"},
                                       {.id = 3, .ticket = bob2, .headers = "C: 1\n"}},
                        .body = "\ntext\n",
                        .body_size = 6});
  EXPECT_THAT(frontend.hear(3),
              UnorderedElementsAre("1 stored", "2 no_access: open alice/tmp: Permission denied",
                                   "3 stored"));
  EXPECT_EQ(content("bob2/new/" + list("bob2/new")[0]), "C: 1\n\ntext\n");
}

TEST_F(WorkerTest, TakesALargeBodyOutOfASealedMemfd) {
  make_maildir("bob", kBob);
  start();
  Peer frontend = worker_->introduce();
  const std::string body(300'000, 'x');
  frontend.send(message_in_memfd(1, worker_->ticket("bob"), body.size()),
                one(memfd_of(body, kAllSeals)));
  EXPECT_EQ(frontend.hear(), "1 stored");
  EXPECT_EQ(content("bob/new/" + list("bob/new")[0]), "H: 1\n\n" + body);
}

// ---- tickets

TEST_F(WorkerTest, RefusesATicketThatLookupDidNotMakeForThisOwnerOrThatIsOver) {
  make_maildir("bob", kBob);
  start();
  Peer frontend = worker_->introduce();
  const Ticket as_should_be{kBob, mailbox_path("bob"), Clock::now() + std::chrono::minutes(1)};
  Ticket of_alice = as_should_be;
  of_alice.owner = kAlice;
  std::string altered = worker_->ticket("bob");
  altered[altered.find("bob")] = 'r';

  deliver(frontend, 1, seal_ticket(make_ticket_key(), as_should_be));
  deliver(frontend, 2, seal_ticket(worker_->ticket_key, of_alice));
  deliver(frontend, 3, altered);
  deliver(frontend, 4, worker_->ticket("bob", std::chrono::seconds(-1)));
  deliver(frontend, 5, "");
  for (const char* id : {"1", "2", "3", "4", "5"}) {
    EXPECT_EQ(frontend.hear(), std::string(id) + " io: ticket refused");
  }
  EXPECT_THAT(list("bob/new"), IsEmpty());
  deliver(frontend, 6, worker_->ticket("bob"));
  EXPECT_EQ(frontend.hear(), "6 stored");
}

// ---- missing mailboxes

TEST_F(WorkerTest, AsksMasterOnceForAMissingMailboxWhileOthersGoOn) {
  make_maildir("here", kBob);
  start();
  Peer frontend = worker_->introduce();
  const std::string large(100'000, 'x');
  deliver(frontend, 1, worker_->ticket("domain.org/bob"));
  EXPECT_EQ(worker_->master->hear(), "make 1");
  frontend.send(message_in_memfd(2, worker_->ticket("domain.org/bob"), large.size()),
                one(memfd_of(large, kAllSeals)));
  deliver(frontend, 3, worker_->ticket("here"));
  EXPECT_EQ(frontend.hear(), "3 stored");
  make_requested_mailbox(1);
  EXPECT_THAT(frontend.hear(2), UnorderedElementsAre("1 stored", "2 stored"));
  EXPECT_THAT(list("domain.org/bob"), ElementsAre("cur", "new", "tmp"));
  EXPECT_THAT(list("domain.org/bob/new"), SizeIs(2));
  EXPECT_EQ(mode("domain.org"), 0711U);

  deliver(frontend, 4, worker_->ticket("another.org/bob"));
  EXPECT_EQ(worker_->master->hear(), "make 2") << "nothing was asked twice in between";
}

TEST_F(WorkerTest, AsksForNoMoreMailboxesThanMasterTakesHoweverManyFrontendsSend) {
  make_maildir("here", kBob);
  start();
  std::array<Peer, 2> frontends{worker_->introduce(0), worker_->introduce(1)};
  for (std::uint64_t id = 1; id < kDeliveryWindow; ++id) {
    deliver(frontends[0], id, worker_->ticket("a" + std::to_string(id)));
    deliver(frontends[1], id, worker_->ticket("b" + std::to_string(id)));
  }
  Peer& master = *worker_->master;
  for (std::size_t id = 1; id <= kDeliveryWindow; ++id) {
    EXPECT_EQ(master.hear(), "make " + std::to_string(id));
  }
  deliver(frontends[0], kDeliveryWindow, worker_->ticket("here"));
  EXPECT_EQ(frontends[0].hear(), std::to_string(kDeliveryWindow) + " stored");
  EXPECT_TRUE(master.is_silent());
  const std::size_t all = 2 * (kDeliveryWindow - 1);
  for (std::size_t id = 1; id <= all; ++id) {
    master.send(MailboxMade{.id = id, .made = false, .reason = Reason::io, .text = "full"});
    if (id + kDeliveryWindow > all) continue;
    EXPECT_EQ(master.hear(), "make " + std::to_string(id + kDeliveryWindow));
  }
  for (Peer& frontend : frontends) {
    EXPECT_THAT(frontend.hear(kDeliveryWindow - 1), Each(HasSubstr("io: full")));
  }
}

TEST_F(WorkerTest, TellsWhyMasterMadeNoMailbox) {
  start();
  Peer frontend = worker_->introduce();
  deliver(frontend, 1, worker_->ticket("bob"));
  EXPECT_EQ(worker_->master->hear(), "make 1");
  worker_->master->send(
      MailboxMade{.id = 1, .made = false, .reason = Reason::no_access, .text = "not in alice"});
  EXPECT_EQ(frontend.hear(), "1 no_access: not in alice");
}

TEST_F(WorkerTest, AsksOnlyOnceForAMailboxThatDoesNotCome) {
  start();
  Peer frontend = worker_->introduce();
  deliver(frontend, 1, worker_->ticket("bob"));
  EXPECT_EQ(worker_->master->hear(), "make 1");
  worker_->master->send(MailboxMade{.id = 1, .made = true});
  EXPECT_EQ(frontend.hear(), "1 no_access: mailbox bob was made and is missing again");
}

// ---- rules of the channel

class BrokenRule : public WorkerTest {
 protected:
  // `break_rule` costs the frontend its channel, nothing is delivered, and the other frontend's
  // mail goes on.
  void expect_end(const std::function<void(Peer&)>& break_rule) {
    make_maildir("bob", kBob);
    start();
    Peer hostile = worker_->introduce(0);
    Peer other = worker_->introduce(1);
    break_rule(hostile);
    EXPECT_EQ(hostile.hear(), "closed");
    deliver(other, 1, worker_->ticket("bob"));
    EXPECT_EQ(other.hear(), "1 stored");
    finish_with(other);
    EXPECT_THAT(list("bob/new"), SizeIs(1)) << "the other's";
  }
};

TEST_F(BrokenRule, AnUnsealedMemfd) {
  expect_end([&](Peer& frontend) {
    frontend.send(message_in_memfd(1, worker_->ticket("bob"), 4),
                  one(memfd_of("text", F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)));
  });
}
TEST_F(BrokenRule, AFileInPlaceOfAMemfd) {
  expect_end([&](Peer& frontend) {
    UniqueFd file(::open("/etc/passwd", O_RDONLY | O_CLOEXEC));
    struct stat status{};
    ASSERT_EQ(::fstat(file.get(), &status), 0);
    frontend.send(
        message_in_memfd(1, worker_->ticket("bob"), static_cast<std::uint64_t>(status.st_size)),
        one(std::move(file)));
  });
}
TEST_F(BrokenRule, AMemfdOfAnotherSize) {
  expect_end([&](Peer& frontend) {
    frontend.send(message_in_memfd(1, worker_->ticket("bob"), 5), one(memfd_of("text", kAllSeals)));
  });
}
TEST_F(BrokenRule, ABodyInTwoForms) {
  expect_end([&](Peer& frontend) {
    frontend.send(message(1, worker_->ticket("bob"), "text"), one(memfd_of("text", kAllSeals)));
  });
}
TEST_F(BrokenRule, AnInlineBodyOfAnotherSize) {
  expect_end([&](Peer& frontend) {
    const std::string ticket = worker_->ticket("bob");
    Deliver deliver_message = message(1, ticket);
    deliver_message.body_size += 1;
    frontend.send(deliver_message);
  });
}
TEST_F(BrokenRule, AnInlineBodyThatIsTooLarge) {
  expect_end([&](Peer& frontend) {
    deliver(frontend, 1, worker_->ticket("bob"), std::string(kInlineBody + 1, 'x'));
  });
}
TEST_F(BrokenRule, MoreDeliveriesThanTheWindow) {
  expect_end([&](Peer& frontend) {
    const std::string ticket = worker_->ticket("bob");
    Deliver wide{.body = "x", .body_size = 1};
    for (std::uint64_t id = 0; id <= kDeliveryWindow; ++id) {
      wide.deliveries.push_back({.id = id, .ticket = ticket});
    }
    frontend.send(wide);
  });
}
TEST_F(BrokenRule, MoreMemfdsThanTheWindow) {
  expect_end([&](Peer& frontend) {
    const std::string ticket = worker_->ticket("bob");
    for (std::uint64_t id = 0; id <= kDescriptorWindow; ++id) {
      frontend.queue(message_in_memfd(id, ticket, 1), one(memfd_of("x", kAllSeals)));
    }
    frontend.flush();
  });
}
TEST_F(BrokenRule, AnIdTwice) {
  expect_end([&](Peer& frontend) {
    const std::string ticket = worker_->ticket("bob");
    frontend.queue(message(1, ticket));
    frontend.queue(message(1, ticket));
    frontend.flush();
  });
}
TEST_F(BrokenRule, AMessageForNobody) {
  expect_end([](Peer& frontend) { frontend.send(Deliver{.body = "x", .body_size = 1}); });
}
TEST_F(BrokenRule, AMessageOfAnotherRole) {
  expect_end([](Peer& frontend) { frontend.send(Stop{}); });
}
TEST_F(BrokenRule, LeftWithoutLeaving) {
  expect_end([](Peer& frontend) { frontend.send(Left{}); });
}

TEST_F(WorkerTest, TakesAFullWindow) {
  make_maildir("bob", kBob);
  start();
  Peer frontend = worker_->introduce();
  const std::string ticket = worker_->ticket("bob");
  for (std::uint64_t id = 1; id <= kDeliveryWindow; ++id) {
    if (id <= kDescriptorWindow) {
      frontend.queue(message_in_memfd(id, ticket, 1), one(memfd_of("x", kAllSeals)));
    } else {
      frontend.queue(message(id, ticket));
    }
  }
  frontend.flush();
  EXPECT_THAT(frontend.hear(kDeliveryWindow), UnorderedElementsAreArray(all_stored()));
  EXPECT_THAT(list("bob/new"), SizeIs(kDeliveryWindow));
}

TEST_F(WorkerTest, LeavesTheOldChannelOfAFrontendThatWasRestarted) {
  make_maildir("bob", kBob);
  start();
  std::optional<Peer> before = worker_->introduce(3);
  deliver(*before, 1, worker_->ticket("missing"));
  EXPECT_EQ(worker_->master->hear(), "make 1");
  before.reset();
  Peer after = worker_->introduce(3);
  make_requested_mailbox(1);
  deliver(after, 1, worker_->ticket("bob"));
  EXPECT_EQ(after.hear(), "1 stored");
  finish_with(after);
  EXPECT_THAT(list("missing"), IsEmpty()) << "nobody waits for that one any more";
}

TEST_F(WorkerTest, AnswersOnItsChannelAFrontendThatAskedForItTwice) {
  make_maildir("bob", kBob);
  start();
  Peer first = worker_->introduce(3);
  deliver(first, 1, worker_->ticket("missing"));
  EXPECT_EQ(worker_->master->hear(), "make 1");
  Peer between = worker_->introduce(3);
  Peer last = worker_->introduce(3);
  EXPECT_EQ(between.hear(), "closed");
  deliver(last, 1, worker_->ticket("bob"));
  EXPECT_EQ(last.hear(), "1 stored");
  make_requested_mailbox(1);
  EXPECT_EQ(first.hear(), "1 stored");
}

// ---- the end

TEST_F(WorkerTest, TakesItsLeaveWithoutLosingADelivery) {
  make_maildir("bob", kBob);
  start();
  Peer frontend = worker_->introduce();
  deliver(frontend, 1, worker_->ticket("domain.org/bob"));
  EXPECT_EQ(worker_->master->hear(), "make 1");
  worker_->master->send(Stop{});
  EXPECT_EQ(frontend.hear(), "leaving");
  deliver(frontend, 2, worker_->ticket("bob"));  // sent before it read that
  frontend.send(Left{});
  EXPECT_EQ(frontend.hear(), "2 stored");
  make_requested_mailbox(1);
  EXPECT_EQ(frontend.hear(), "1 stored");
  EXPECT_EQ(frontend.hear(), "closed");
  EXPECT_EQ(worker_->wait(), 0);
}

TEST_F(WorkerTest, LeavesAtOnceWhereNobodyKnowsIt) {
  start();
  worker_->master->send(Stop{});
  EXPECT_EQ(worker_->wait(), 0);
}

TEST_F(WorkerTest, FinishesWhenMasterIsGone) {
  make_maildir("bob", kBob);
  start();
  Peer frontend = worker_->introduce();
  deliver(frontend, 1, worker_->ticket("missing"));
  EXPECT_EQ(worker_->master->hear(), "make 1");
  worker_->master.reset();
  EXPECT_EQ(frontend.hear(), "1 io: the mailbox is missing, and master is gone");
  EXPECT_EQ(frontend.hear(), "leaving");
  deliver(frontend, 2, worker_->ticket("missing"));
  deliver(frontend, 3, worker_->ticket("bob"));
  EXPECT_EQ(frontend.hear(), "2 io: mailbox missing is missing, and master is gone");
  EXPECT_EQ(frontend.hear(), "3 stored");
  frontend.send(Left{});
  EXPECT_EQ(frontend.hear(), "closed");
  EXPECT_EQ(worker_->wait(), 0);
}

TEST_F(WorkerTest, LeavesASignalToMaster) {
  make_maildir("bob", kBob);
  start();
  Peer frontend = worker_->introduce();
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::kill(worker_->pid(), number);
  deliver(frontend, 1, worker_->ticket("bob"));
  EXPECT_EQ(frontend.hear(), "1 stored");
}

}  // namespace
}  // namespace lmtpd
