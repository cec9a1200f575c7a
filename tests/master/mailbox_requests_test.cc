#include "lmtpd/master/mailbox_requests.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <fstream>
#include <iterator>
#include <map>
#include <new>
#include <string>
#include <thread>

#include "lmtpd/master/left_children.h"

namespace lmtpd::master {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

constexpr int kTries = 6000;  // every 10 ms
constexpr MailboxOwner kOwner{Uid(1001), Gid(1001)};

class MailboxRequestsTest : public testing::Test {
 protected:
  // The test before leaves its children.
  void SetUp() override {
    for (int i = 0; i < kTries && processes() != 0; ++i) {
      reap_left_children();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ASSERT_EQ(processes(), 0U);
  }

  // What a child does is said by the path.
  static Result<void> make(int /*base*/, const MailboxPath& path, MailboxOwner /*owner*/) {
    if (path.value().starts_with("hangs")) ::pause();
    if (path.value().starts_with("freezes")) return freeze();
    if (path.value() == "crashes") ::_exit(9);
    if (path.value() == "full") return fail(Reason::no_space, "no space for " + path.value());
    if (path.value() == "longwinded") return fail(Reason::io, std::string(100'000, 'x'));
    if (path.value() == "counts") return fail(Reason::io, descriptors());
    return {};
  }

  // As if it hung in the kernel: its parent is not told of its death before its tracer has ended,
  // which waits for the end of the base.
  static Result<void> freeze() {
    const pid_t self = ::getpid();
    ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    std::array<int, 2> told{};
    char traced = 0;
    if (::pipe(told.data()) != 0) return fail(Reason::io, "pipe");
    if (::fork() == 0) {
      traced = ::ptrace(PTRACE_SEIZE, self, nullptr, nullptr) == 0 ? 1 : 0;
      if (::write(told[1], &traced, 1) == 1 && ::read(3, &traced, 1) < 0) ::_exit(1);
      ::_exit(0);
    }
    if (::read(told[0], &traced, 1) != 1 || traced == 0) return fail(Reason::io, "ptrace");
    ++*frozen_;
    ::pause();
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

  void reap_until_none_is_left() {
    for (int i = 0; i < kTries && !requests_.empty(); ++i) {
      requests_.reap();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ASSERT_TRUE(requests_.empty());
  }

  // Children of this process that were not reaped.
  static std::size_t processes() {
    std::ifstream file("/proc/thread-self/children");
    return static_cast<std::size_t>(
        std::distance(std::istream_iterator<int>(file), std::istream_iterator<int>()));
  }

  using Count = std::atomic<std::size_t>;
  static Count* make_shared_count() {
    void* memory =
        ::mmap(nullptr, sizeof(Count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? nullptr : new (memory) Count(0);
  }

  void wait_until_frozen(std::size_t count) {
    for (int i = 0; i < kTries && *frozen_ < count; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ASSERT_EQ(*frozen_, count);
  }

  static std::array<UniqueFd, 2> make_pipe() {
    std::array<int, 2> ends{-1, -1};
    EXPECT_EQ(::pipe(ends.data()), 0);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
  }

  static inline Count* const frozen_ = make_shared_count();  // children, of all tests
  Clock::time_point now_ = Clock::now();
  std::array<UniqueFd, 2> base_ = make_pipe();
  std::map<std::uint64_t, Result<void>> answers_;
  MailboxRequests requests_{
      base_[0].get(), make,
      [this](const MailboxRequests::Request& request, const Result<void>& made) {
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
  reap_until_none_is_left();
}

TEST_F(MailboxRequestsTest, NoMoreChildrenAtATimeThanAllowedButForThoseThatTakeLong) {
  for (std::uint64_t id = 0; id < MailboxRequests::kMostChildren; ++id) ask(id, "hangs");
  ask(100, "fine");
  requests_.advance(now_);
  now_ += MailboxRequests::kUsualTime - std::chrono::milliseconds(1);
  requests_.advance(now_);
  EXPECT_EQ(processes(), MailboxRequests::kMostChildren);
  EXPECT_EQ(requests_.open_of(77), MailboxRequests::kMostChildren + 1);
  now_ += std::chrono::milliseconds(1);
  run_until_answered(1);
  EXPECT_TRUE(answers_.at(100));
  EXPECT_EQ(requests_.open_of(77), MailboxRequests::kMostChildren);
}

TEST_F(MailboxRequestsTest, LoopAwakesWhenAPlaceIsFree) {
  now_ = Clock::now() - MailboxRequests::kUsualTime + std::chrono::milliseconds(50);
  for (std::uint64_t id = 0; id <= MailboxRequests::kMostChildren; ++id) ask(id, "hangs");
  requests_.advance(now_);
  PollSet set;
  requests_.wait_in(set);
  set.wait();
  EXPECT_LT(Clock::now() - now_, MailboxRequests::kDeadline / 2);
}

TEST_F(MailboxRequestsTest, ChildrenThatDoNotDieHoldUpNobodyElseAndTheirMailboxesGetNoOthers) {
  const std::uint64_t count = MailboxRequests::kMostChildren;
  const auto frozen = [](std::uint64_t id) { return "freezes/" + std::to_string(id); };
  for (std::uint64_t id = 0; id < count; ++id) ask(id, frozen(id));
  requests_.advance(now_);
  wait_until_frozen(count);
  now_ += MailboxRequests::kDeadline;
  requests_.advance(now_);
  ASSERT_EQ(answers_.size(), count);
  EXPECT_EQ(requests_.open_of(77), 0U);

  ask(100, "fine");
  ask(101, frozen(3));
  run_until_answered(count + 2);
  EXPECT_TRUE(answers_.at(100));
  EXPECT_THAT(answers_.at(101).error().text, HasSubstr("an earlier attempt"));
  EXPECT_FALSE(requests_.empty());

  base_[1].reset();
  reap_until_none_is_left();
}

TEST_F(MailboxRequestsTest, ProcessesAreBounded) {
  std::uint64_t id = 0;
  for (std::size_t i = 0; i <= MailboxRequests::kMostProcesses; ++i) {
    ask(id++, "hangs/" + std::to_string(i));
    if (id % MailboxRequests::kMostChildren != 0) continue;
    requests_.advance(now_);
    now_ += MailboxRequests::kUsualTime;
  }
  requests_.advance(now_);
  EXPECT_EQ(processes(), MailboxRequests::kMostProcesses);
  EXPECT_EQ(answers_.count(id - 1), 0U);
  // There is room again.
  now_ += MailboxRequests::kDeadline;
  requests_.advance(now_);
  EXPECT_EQ(answers_.at(id - 1).error().reason, Reason::overload);
  reap_until_none_is_left();
  ask(id, "fine");
  run_until_answered(id + 1);
  EXPECT_TRUE(answers_.at(id));
}

TEST_F(MailboxRequestsTest, QueueIsBounded) {
  for (std::uint64_t id = 0; id <= MailboxRequests::kMostQueued; ++id) ask(id, "hangs");
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_.at(MailboxRequests::kMostQueued).error().reason, Reason::overload);
}

}  // namespace
}  // namespace lmtpd::master
