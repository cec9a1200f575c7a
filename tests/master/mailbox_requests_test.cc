#include "lmtpd/master/mailbox_requests.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <string>
#include <thread>

namespace lmtpd::master {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

constexpr int kTries = 6000;  // every 10 ms
constexpr MailboxOwner kOwner{Uid(1001), Gid(1001)};

class MailboxRequestsTest : public testing::Test {
 protected:
  // What a child does is said by the path.
  static Result<void> make(int /*base*/, const MailboxPath& path, MailboxOwner /*owner*/) {
    if (path.value() == "hangs") ::pause();
    if (path.value() == "crashes") ::_exit(9);
    if (path.value() == "full") return fail(Reason::no_space, "no space for " + path.value());
    if (path.value() == "longwinded") return fail(Reason::io, std::string(100'000, 'x'));
    if (path.value() == "counts") return fail(Reason::io, descriptors());
    return {};
  }

  static std::string descriptors() {
    std::string open;
    for (int fd = 0; fd < 1024; ++fd) {
      if (::fcntl(fd, F_GETFD) >= 0) open += std::to_string(fd) + " ";
    }
    return open;
  }

  void ask(std::uint64_t id, const std::string& path) {
    requests_.add({kOwner, 77, id, MailboxPath::parse(path + "/").value()}, now_);
  }

  void run_until_answered(std::size_t answers) {
    for (int i = 0; i < kTries && answers_.size() < answers; ++i) {
      requests_.reap();
      requests_.advance(now_);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ASSERT_GE(answers_.size(), answers);
  }

  Clock::time_point now_ = Clock::now();
  std::map<std::uint64_t, Result<void>> answers_;
  MailboxRequests requests_{
      0, make, [this](const MailboxRequests::Request& request, const Result<void>& made) {
        EXPECT_TRUE(answers_.emplace(request.id, made).second) << "answered twice: " << request.id;
      }};
};

TEST_F(MailboxRequestsTest, AnswersWithWhatTheChildSays) {
  ask(1, "fine");
  ask(2, "full");
  ask(3, "crashes");
  ask(4, "longwinded");
  run_until_answered(4);
  EXPECT_TRUE(answers_.at(1));
  EXPECT_EQ(answers_.at(2).error().reason, Reason::no_space);
  EXPECT_EQ(answers_.at(2).error().text, "no space for full");
  EXPECT_EQ(answers_.at(3).error().reason, Reason::io);
  EXPECT_THAT(answers_.at(3).error().text, HasSubstr("exited with status 9"));
  EXPECT_THAT(answers_.at(4).error().text, testing::StartsWith("xxx"));
  EXPECT_TRUE(requests_.empty());
}

TEST_F(MailboxRequestsTest, ChildHoldsNoDescriptorOfMasters) {
  const UniqueFd channel(::dup(0));
  ask(1, "counts");
  run_until_answered(1);
  EXPECT_EQ(answers_.at(1).error().text, "0 1 2 3 4 ");
}

TEST_F(MailboxRequestsTest, HangingChildHoldsUpNobodyElseAndIsKilledInTime) {
  ask(1, "hangs");
  ask(2, "fine");
  run_until_answered(1);
  EXPECT_TRUE(answers_.at(2));
  EXPECT_EQ(answers_.count(1), 0U);
  EXPECT_EQ(requests_.open_of(77), 1U);
  now_ += MailboxRequests::kDeadline;
  requests_.advance(now_);
  EXPECT_EQ(answers_.at(1).error().reason, Reason::io);
  // Its end is not a second answer.
  for (int i = 0; i < kTries && !requests_.empty(); ++i) {
    requests_.reap();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(requests_.empty());
}

TEST_F(MailboxRequestsTest, NoMoreChildrenThanAllowedAndNobodyWaitsForEver) {
  for (std::uint64_t id = 0; id < MailboxRequests::kMostChildren; ++id) ask(id, "hangs");
  requests_.advance(now_);
  now_ += seconds(30);
  ask(100, "fine");
  requests_.advance(now_);
  EXPECT_TRUE(answers_.empty());
  EXPECT_EQ(requests_.open_of(77), MailboxRequests::kMostChildren + 1);
  now_ += seconds(30);  // the deadline of those that hang
  run_until_answered(MailboxRequests::kMostChildren + 1);
  EXPECT_TRUE(answers_.at(100));
}

TEST_F(MailboxRequestsTest, QueueIsBounded) {
  for (std::uint64_t id = 0; id <= MailboxRequests::kMostQueued; ++id) ask(id, "hangs");
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_.at(MailboxRequests::kMostQueued).error().reason, Reason::overload);
}

}  // namespace
}  // namespace lmtpd::master
