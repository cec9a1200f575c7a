// What a frontend counts of limits that are reached seldom: by a wait of a minute, or in master.
#include "lmtpd/frontend/frontend.h"

#include <gtest/gtest.h>

#include "tests/frontend/far_end.h"

namespace lmtpd::frontend {
namespace {

class FrontendTest : public testing::Test {
 protected:
  [[nodiscard]] std::uint64_t counted(Counter counter) const {
    return CounterReader::map(page_)->value(counter);
  }

  const EventBasePtr base_{event_base_new()};
  const UniqueFd page_ = *make_shared_memory<CounterNumbers>();
  FarEnd master_;
  Frontend frontend_{base_.get(),
                     Settings{},
                     *NetworkList::make({}),
                     std::nullopt,
                     0,
                     *Counters::map(page_),
                     Channel(master_.open()),
                     {}};
};

TEST_F(FrontendTest, CountsAMessageThatWaitedForRoomInVain) {
  static_cast<Spool::Waiter&>(frontend_).on_booking_refused({1, 1});
  EXPECT_EQ(counted(Counter::spool_limit_hits), 1U);
  EXPECT_EQ(counted(Counter::spool_given_up), 0U);
}

TEST_F(FrontendTest, CountsAWorkerThatWasOneTooMany) {
  constexpr MailboxOwner kOwner{Uid(1001), Gid(1001)};
  master_.send(WorkerRefused{kOwner, Reason::no_access, "a user that is not there"});
  run_loop(base_.get());
  EXPECT_EQ(counted(Counter::worker_limit_hits), 0U);
  master_.send(WorkerRefused{kOwner, Reason::overload, "too many"});
  run_loop(base_.get());
  EXPECT_EQ(counted(Counter::worker_limit_hits), 1U);
  EXPECT_FALSE(master_.closed());
}

}  // namespace
}  // namespace lmtpd::frontend
