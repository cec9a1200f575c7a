// The order of the worker's system calls, as strace(1) sees it.

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <span>

#include "tests/delivery/worker_fixture.h"

namespace lmtpd {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::IsEmpty;
using testing::kAllSeals;
using testing::kBob;
using testing::memfd_of;
using testing::Peer;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAreArray;
using testing::WorkerTest;

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
    std::vector<std::string> command{"/usr/bin/strace", "-qq", "-y", "-ff", "-o", at("trace/of")};
    for (const std::string& expression : expressions())
      command.insert(command.end(), {"-e", expression});
    start(kBob, command);
  }
  // What strace(1) traces, and injects.
  [[nodiscard]] virtual std::vector<std::string> expressions() const {
    return {"trace=writev,sync_file_range,fsync,linkat,unlinkat,sendmsg"};
  }

  void deliver_alone() {
    Peer frontend = worker_->introduce();
    const std::string ticket = worker_->ticket("bob");
    Deliver alone = message(1, ticket);
    alone.alone = true;
    frontend.send(alone);
    EXPECT_EQ(frontend.hear(), "1 stored");
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
  deliver_alone();
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

// A worker whose answer the kernel has no memory for, three times.
class StarvedWorker : public TracedWorker {
 protected:
  [[nodiscard]] std::vector<std::string> expressions() const override {
    return {"trace=poll,sendmsg", "inject=sendmsg:error=ENOBUFS:when=2..4"};  // behind Ready
  }
};

TEST_F(StarvedWorker, WaitsForTimeAndNotForTheSocketWhichIsWritable) {
  deliver_alone();
  worker_->master->send(Stop{});
  EXPECT_EQ(worker_->wait(), 0);
  int failed = 0;
  for (const std::string& file : list("trace")) {
    std::ifstream in(at("trace/" + file));
    for (std::string line; std::getline(in, line);) {
      if (!line.ends_with("(INJECTED)")) continue;
      ++failed;
      std::getline(in, line);
      EXPECT_THAT(line, AllOf(StartsWith("poll("), EndsWith("= 0 (Timeout)")));
    }
  }
  EXPECT_EQ(failed, 3);
}

}  // namespace
}  // namespace lmtpd
