#include "lmtpd/delivery/delivery_threads.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/mman.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "tests/maildir/mail_base.h"
#include "tests/maildir/recorded_calls.h"

namespace lmtpd::delivery {
namespace {

using testing::as_text;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::kBob;
using testing::mailbox_path;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr std::chrono::seconds kPatience{60};

// A disk whose syncs wait where the test has closed it, and which knows the groups that each thread
// wrote: all messages of a group are written before its first sync.
class Disk {
 public:
  Disk() {
    const std::lock_guard lock(mutex());
    state() = {};
  }

  static void close() {
    const std::lock_guard lock(mutex());
    state().open = false;
  }
  static void open() {
    const std::lock_guard lock(mutex());
    state().open = true;
    changed().notify_all();
  }
  // Waits until as many threads are in a sync at the same time.
  [[nodiscard]] static bool has_in_sync(std::size_t threads) {
    std::unique_lock lock(mutex());
    return changed().wait_for(lock, kPatience, [&] { return state().in_sync == threads; });
  }
  // The sizes of the groups, of all threads or of one.
  [[nodiscard]] static std::vector<std::size_t> groups() {
    const std::lock_guard lock(mutex());
    std::vector<std::size_t> sizes;
    for (const auto& [thread, its] : state().groups) {
      sizes.insert(sizes.end(), its.begin(), its.end());
    }
    return sizes;
  }
  [[nodiscard]] static std::vector<std::size_t> groups_of(std::thread::id thread) {
    const std::lock_guard lock(mutex());
    return state().groups[thread];
  }

  [[nodiscard]] static maildir::DiskCalls table() {
    return maildir::DiskCalls{
        .writev =
            [](int fd, const iovec* parts, int count) {
              note_write();
              return ::writev(fd, parts, count);
            },
        .fsync =
            [](int) {
              wait_while_closed();
              return 0;
            },
        .syncfs = [](int) { return 0; },
        .unlinkat =
            [](int dir, const char* name, int flags) {
              note_end_of_group();
              return ::unlinkat(dir, name, flags);
            },
    };
  }

 private:
  struct State {
    bool open = true;
    std::size_t in_sync = 0;
    std::map<std::thread::id, std::vector<std::size_t>> groups;
    std::map<std::thread::id, bool> writing;
  };

  static std::mutex& mutex() {
    static std::mutex value;
    return value;
  }
  static std::condition_variable& changed() {
    static std::condition_variable value;
    return value;
  }
  static State& state() {
    static State value;
    return value;
  }

  static void note_write() {
    const std::lock_guard lock(mutex());
    const std::thread::id self = std::this_thread::get_id();
    if (!std::exchange(state().writing[self], true)) state().groups[self].push_back(0);
    ++state().groups[self].back();
  }
  static void note_end_of_group() {
    const std::lock_guard lock(mutex());
    state().writing[std::this_thread::get_id()] = false;
  }
  static void wait_while_closed() {
    std::unique_lock lock(mutex());
    ++state().in_sync;
    changed().notify_all();
    changed().wait(lock, [] { return state().open; });
    --state().in_sync;
  }
};

class DeliveryThreadsTest : public testing::MailBase {
 protected:
  void SetUp() override {
    MailBase::SetUp();
    if (!IsSkipped()) make_maildir("bob", MailboxOwner{Uid(0), Gid(0)});
  }
  void TearDown() override {
    Disk::open();
    threads_.reset();
    MailBase::TearDown();
  }

  void open(std::size_t most) {
    deliverer_.emplace(
        maildir::Deliverer::open(open_base(), {.host = "mx", .calls = Disk::table()}).value());
    threads_ = DeliveryThreads::open(*deliverer_, most).value();
  }

  static Job job(std::uint64_t id, std::string_view path = "bob") {
    Job job{.link = 1, .id = id, .path = mailbox_path(path)};
    job.headers = "Id: " + std::to_string(id) + "\n";
    job.body = "\ntext\n";
    job.body_size = job.body.size();
    return job;
  }
  static Job job_in_memfd(std::uint64_t id) {
    Job job{.link = 1, .id = id, .path = mailbox_path("bob")};
    job.body_fd = UniqueFd(::memfd_create("body", MFD_CLOEXEC));
    EXPECT_EQ(::write(job.body_fd.get(), "\ntext\n", 6), 6);
    job.body_size = 6;
    return job;
  }
  // Next ones, as many.
  Jobs jobs(std::size_t count) {
    Jobs list;
    for (; count > 0; --count) list.push_back(job(++last_id_));
    return list;
  }

  [[nodiscard]] bool has_finished() const {
    pollfd waited{threads_->fd(), POLLIN, 0};
    return ::poll(&waited, 1, 0) == 1;
  }
  // Adds to `told`, by id, what ended; waits for the first of it.
  void take(std::map<std::uint64_t, std::string>& told) const {
    pollfd waited{threads_->fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&waited, 1, std::chrono::milliseconds(kPatience).count()), 1);
    for (const Delivered& each : threads_->take_finished()) {
      EXPECT_TRUE(told.emplace(each.job.id, as_text(each.outcome)).second) << each.job.id;
    }
  }
  // Everything that was started.
  [[nodiscard]] std::map<std::uint64_t, std::string> take_all() const {
    std::map<std::uint64_t, std::string> told;
    while (!threads_->none() && !HasFatalFailure()) take(told);
    EXPECT_FALSE(has_finished());
    return told;
  }
  static void expect_stored(const std::map<std::uint64_t, std::string>& told, std::size_t count) {
    EXPECT_EQ(told.size(), count);
    for (const auto& [id, outcome] : told) EXPECT_EQ(outcome, "stored") << id;
  }

  std::optional<maildir::Deliverer> deliverer_;
  std::unique_ptr<DeliveryThreads> threads_;

 private:
  Disk disk_;
  std::uint64_t last_id_ = 0;
};

TEST_F(DeliveryThreadsTest, SyncBesideEachOther) {
  open(8);
  Disk::close();
  threads_->start(jobs(3));
  EXPECT_TRUE(Disk::has_in_sync(3));
  threads_->start(jobs(5));
  EXPECT_TRUE(Disk::has_in_sync(8));
  EXPECT_FALSE(has_finished());
  EXPECT_THAT(threads_->take_finished(), IsEmpty());
  EXPECT_FALSE(threads_->none());
  Disk::open();
  expect_stored(take_all(), 8);
  EXPECT_THAT(Disk::groups(), ElementsAre(1, 1, 1, 1, 1, 1, 1, 1));
  EXPECT_THAT(list("bob/new"), SizeIs(8));
}

TEST_F(DeliveryThreadsTest, ServeAgainOnceTheyAreIdle) {
  open(2);
  for (std::size_t round = 0; round < 50; ++round) {
    threads_->start(jobs(2));
    expect_stored(take_all(), 2);
  }
  EXPECT_THAT(list("bob/new"), SizeIs(100));
}

// What is taken before the event was waited for leaves it unreadable: it would end every poll(2).
TEST_F(DeliveryThreadsTest, LeaveNoEventBehindForWhatWasTakenAlready) {
  open(1);
  for (int round = 0; round < 2000; ++round) {
    ASSERT_FALSE(has_finished()) << round;
    threads_->start(jobs(1));
    while (!threads_->none()) static_cast<void>(threads_->take_finished());
  }
}

TEST_F(DeliveryThreadsTest, TakeTheirShareWhereMoreWait) {
  open(2);
  Disk::close();
  threads_->start(jobs(2));
  ASSERT_TRUE(Disk::has_in_sync(2));
  threads_->start(jobs(6));
  Disk::open();
  expect_stored(take_all(), 8);
  // Half of six, half of what is left, and the last: whichever thread it is.
  EXPECT_THAT(Disk::groups(), UnorderedElementsAre(1, 1, 3, 2, 1));
}

TEST_F(DeliveryThreadsTest, TakeABodyInAMemfdAlone) {
  open(1);
  Disk::close();
  threads_->start(jobs(1));
  ASSERT_TRUE(Disk::has_in_sync(1));
  Jobs mixed = jobs(2);
  mixed.push_back(job_in_memfd(100));
  mixed.push_back(job_in_memfd(101));
  mixed.splice(mixed.end(), jobs(3));
  threads_->start(std::move(mixed));
  Disk::open();
  expect_stored(take_all(), 8);
  EXPECT_THAT(Disk::groups(), ElementsAre(1, 2, 1, 1, 3));
}

TEST_F(DeliveryThreadsTest, AreNotNeededWhereNothingWaits) {
  open(0);
  threads_->start(jobs(3));
  EXPECT_THAT(list("bob/new"), SizeIs(3));
  EXPECT_TRUE(has_finished());
  EXPECT_THAT(Disk::groups_of(std::this_thread::get_id()), ElementsAre(3));
  EXPECT_THAT(threads_->take_finished(), SizeIs(3));
  EXPECT_TRUE(threads_->none());
  EXPECT_FALSE(has_finished());
}

TEST_F(DeliveryThreadsTest, LeaveToTheCallerWhatItDeliversHere) {
  open(2);
  const Delivered delivered = threads_->deliver_here(job(7));
  EXPECT_EQ(delivered.job.id, 7U);
  EXPECT_EQ(as_text(delivered.outcome), "stored");
  EXPECT_THAT(Disk::groups_of(std::this_thread::get_id()), ElementsAre(1));
  EXPECT_TRUE(threads_->none());
  EXPECT_FALSE(has_finished());
}

TEST_F(DeliveryThreadsTest, FinishBeforeTheyEnd) {
  open(2);
  threads_->start(jobs(100));
  threads_.reset();
  EXPECT_THAT(list("bob/new"), SizeIs(100));
  EXPECT_THAT(list("bob/tmp"), IsEmpty());
}

TEST_F(DeliveryThreadsTest, TellThatAMailboxIsMissingAndGiveTheJobBack) {
  make_root_directory("domain.org");
  EXPECT_EQ(as_owner(kBob,
                     [this] {
                       open(2);
                       Jobs one;
                       one.push_back(job(5, "domain.org/bob"));
                       threads_->start(std::move(one));
                       const auto told = take_all();
                       const std::string text = told.size() == 1 ? told.at(5) : "nothing";
                       threads_.reset();
                       return text;
                     }),
            "missing mailbox");
}

TEST_F(DeliveryThreadsTest, LoseAndMixUpNothing) {
  constexpr std::uint64_t kJobs = 1000;
  std::ofstream(at("file")) << "no directory";
  open(8);
  std::map<std::uint64_t, std::string> told;
  for (std::uint64_t id = 1; id <= kJobs;) {
    Jobs batch;
    for (std::uint64_t left = 1 + id % 40; left > 0 && id <= kJobs; --left, ++id) {
      batch.push_back(id % 10 == 0   ? job(id, "file/bob")
                      : id % 10 == 5 ? job_in_memfd(id)
                                     : job(id));
    }
    threads_->start(std::move(batch));
    if (has_finished()) {
      ASSERT_NO_FATAL_FAILURE(take(told));
    }
  }
  told.merge(take_all());
  ASSERT_EQ(told.size(), kJobs);
  for (const auto& [id, outcome] : told) EXPECT_EQ(outcome == "stored", id % 10 != 0) << outcome;
  EXPECT_THAT(list("bob/new"), SizeIs(kJobs - kJobs / 10));
  EXPECT_THAT(list("bob/tmp"), IsEmpty());
}

}  // namespace
}  // namespace lmtpd::delivery
