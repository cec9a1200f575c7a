// The worker as its peers see it: a real process that has dropped its privileges, on a real disk.

#include <fcntl.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <span>
#include <sstream>

#include "lmtpd/master/mailbox_maker.h"
#include "tests/delivery/worker_process.h"
#include "tests/maildir/mail_base.h"

namespace lmtpd {
namespace {

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

class WorkerTest : public testing::MailBase {
 protected:
  void start(MailboxOwner owner = kBob, const std::vector<std::string>& prefix = {}) {
    worker_.emplace(at("").substr(0, at("").size() - 1), owner, prefix);
    ASSERT_EQ(worker_->master->hear(), "ready");
  }
  // A message for one mailbox.
  static void deliver(Peer& frontend, std::uint64_t id, const std::string& ticket,
                      std::string_view body = "text\n") {
    frontend.send(message(id, ticket, body));
  }
  static Deliver message(std::uint64_t id, const std::string& ticket,
                         std::string_view body = "text\n") {
    return Deliver{
        .deliveries = {{.id = id, .ticket = ticket, .headers = "H: 1\n\n", .wire_size = 9}},
        .body = body,
        .body_size = body.size()};
  }
  static Deliver message_in_memfd(std::uint64_t id, const std::string& ticket, std::uint64_t size) {
    return Deliver{
        .deliveries = {{.id = id, .ticket = ticket, .headers = "H: 1\n\n", .wire_size = 9}},
        .body_size = size};
  }
  static std::vector<UniqueFd> one(UniqueFd fd) {
    std::vector<UniqueFd> list;
    list.push_back(std::move(fd));
    return list;
  }
  // Of a full window.
  static std::vector<std::string> all_stored() {
    std::vector<std::string> told;
    for (std::uint64_t id = 1; id <= kDeliveryWindow; ++id) {
      told.push_back(std::to_string(id) + " stored");
    }
    return told;
  }
  // Ends the worker, of which `frontend` has all answers: nothing is under way any more.
  void finish_with(Peer& frontend) {
    worker_->master->send(Stop{});
    EXPECT_EQ(frontend.hear(), "leaving");
    frontend.send(Left{});
    EXPECT_EQ(frontend.hear(), "closed");
    EXPECT_EQ(worker_->wait(), 0);
  }
  // What master's helper does, and its answer.
  void make_requested_mailbox(std::uint64_t request) {
    const auto ticket =
        open_ticket_as_maker(worker_->ticket_key, worker_->master->last_ticket(), Clock::now());
    ASSERT_TRUE(ticket);
    const Result<void> made = make_mailbox(open_base().get(), ticket->path, ticket->owner);
    ASSERT_TRUE(made) << made.error().text;
    worker_->master->send(MailboxMade{.id = request, .made = true});
  }

  std::optional<WorkerProcess> worker_;
};

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

// ---- the order of its system calls

class TracedWorker : public WorkerTest {
 protected:
  using Calls = std::vector<std::string>;

  void SetUp() override {
    WorkerTest::SetUp();
    if (IsSkipped()) return;
    if (::access("/usr/bin/strace", X_OK) != 0) GTEST_SKIP() << "needs strace";
    // LeakSanitizer cannot work in a traced process.
    ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
    ::setenv("LSAN_OPTIONS", "detect_leaks=0", 1);
    make_maildir("bob", kBob);
    make_maildir("bob2", kBob);
    make_root_directory("trace");
    start(kBob, {"/usr/bin/strace", "-qq", "-y", "-ff", "-o", at("trace/of"), "-e",
                 "trace=writev,sync_file_range,fsync,linkat,unlinkat,sendmsg"});
  }

  // Ends the worker; then loop() and threads() are what each thread did to files and the new/ of
  // mailboxes, and each message that it sent, in order. A thread that did nothing is left out.
  void finish() {
    worker_->master->send(Stop{});
    EXPECT_EQ(worker_->wait(), 0);
    for (const std::string& file : list("trace")) {
      Calls calls = calls_in(at("trace/" + file));
      if (calls.empty()) continue;
      if (calls.front() == "sendmsg") {  // Ready
        loop_ = std::move(calls);
      } else {
        threads_.push_back(std::move(calls));
      }
    }
  }
  [[nodiscard]] const Calls& loop() const { return loop_; }
  [[nodiscard]] const std::vector<Calls>& threads() const { return threads_; }

  // Takes as many calls of that kind from `calls` as stand first.
  static std::size_t take(std::span<const std::string>& calls, const std::string& kind) {
    const std::regex whole(kind);
    std::size_t count = 0;
    while (!calls.empty() && std::regex_match(calls.front(), whole)) {
      ++count;
      calls = calls.subspan(1);
    }
    return count;
  }

 private:
  static Calls calls_in(const std::string& file) {
    static const std::regex call(R"(^(\w+)\(\d+<(.*?)>.* = (-?\d+).*)");
    static const std::regex place(R"(.*/(bob\d?)/(tmp/|tmp|new)[^/]*$)");
    std::ifstream in(file);
    Calls told;
    for (std::string line; std::getline(in, line);) {
      std::smatch parts;
      if (!std::regex_match(line, parts, call)) continue;
      EXPECT_NE(parts[3], "-1") << line;
      const std::string path = parts[2];
      std::smatch where;
      if (parts[1] == "sendmsg") {
        told.push_back("sendmsg");
      } else if (std::regex_match(path, where, place)) {
        told.push_back(parts[1].str() + " " + where[1].str() + "/" + where[2].str());
      }
    }
    return told;
  }

  Calls loop_;
  std::vector<Calls> threads_;
};

TEST_F(TracedWorker, DeliversInItsLoopWhatIsAlone) {
  {
    Peer frontend = worker_->introduce();
    const std::string ticket = worker_->ticket("bob");
    Deliver alone = message(1, ticket);
    alone.alone = true;
    frontend.send(alone);
    EXPECT_EQ(frontend.hear(), "1 stored");
  }
  finish();
  EXPECT_THAT(loop(), ElementsAre("sendmsg",  // Ready
                                  "writev bob/tmp/", "fsync bob/tmp/", "linkat bob/tmp",
                                  "fsync bob/new", "unlinkat bob/tmp", "sendmsg"));
  EXPECT_THAT(threads(), IsEmpty());
}

TEST_F(TracedWorker, DeliversInAThreadWhatIsNotAloneOrInAMemfd) {
  {
    Peer frontend = worker_->introduce();
    const std::string ticket = worker_->ticket("bob");
    frontend.send(message(1, ticket));
    EXPECT_EQ(frontend.hear(), "1 stored");
    Deliver alone = message_in_memfd(2, ticket, 1);
    alone.alone = true;
    frontend.send(alone, one(memfd_of("x", kAllSeals)));
    EXPECT_EQ(frontend.hear(), "2 stored");
  }
  finish();
  EXPECT_THAT(loop(), ElementsAre("sendmsg", "sendmsg", "sendmsg"));
  Calls all;
  for (const Calls& calls : threads()) all.insert(all.end(), calls.begin(), calls.end());
  const Calls each{"writev bob/tmp/", "fsync bob/tmp/", "linkat bob/tmp", "fsync bob/new",
                   "unlinkat bob/tmp"};
  Calls twice = each;
  twice.insert(twice.end(), each.begin(), each.end());
  EXPECT_EQ(all, twice);
}

TEST_F(TracedWorker, SharesTheSyncsOfAThreadsGroup) {
  {
    Peer frontend = worker_->introduce();
    const std::string bob = worker_->ticket("bob");
    const std::string bob2 = worker_->ticket("bob2");
    Deliver wide{.body = "\ntext\n", .body_size = 6};
    for (std::uint64_t id = 1; id <= kDeliveryWindow; ++id) {
      wide.deliveries.push_back(
          {.id = id, .ticket = id % 2 == 0 ? bob2 : bob, .headers = "H: 1\n"});
    }
    frontend.send(wide);
    EXPECT_THAT(frontend.hear(kDeliveryWindow), UnorderedElementsAreArray(all_stored()));
  }
  finish();
  std::size_t messages = 0;
  std::size_t largest = 0;
  for (const Calls& thread : threads()) {
    for (std::span<const std::string> left = thread; !left.empty();) {
      const std::size_t size = take(left, "writev bob2?/tmp/");
      ASSERT_GT(size, 0U) << left.front();
      ASSERT_EQ(take(left, "sync_file_range bob2?/tmp/"), size > 1 ? size : 0);
      ASSERT_EQ(take(left, "fsync bob2?/tmp/"), size);
      ASSERT_EQ(take(left, "linkat bob2?/tmp"), size);
      ASSERT_EQ(take(left, "fsync bob2?/new"), size > 1 ? 2 : 1) << "neighbours are for both";
      ASSERT_EQ(take(left, "unlinkat bob2?/tmp"), size);
      messages += size;
      largest = std::max(largest, size);
    }
  }
  EXPECT_EQ(messages, kDeliveryWindow);
  EXPECT_GT(largest, 1U) << "more than the threads came at once";
}

}  // namespace
}  // namespace lmtpd
