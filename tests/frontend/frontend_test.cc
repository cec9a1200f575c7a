// When a frontend lets clients in, and what it counts of limits that are reached seldom: by a wait
// of a minute, or in master.
#include "lmtpd/frontend/frontend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "tests/base/unix_listener.h"
#include "tests/frontend/far_end.h"

namespace lmtpd::frontend {
namespace {

class FrontendTest : public testing::Test {
 protected:
  [[nodiscard]] std::uint64_t counted(Counter counter) const {
    return CounterReader::map(page_)->value(counter);
  }
  static Settings settings() {
    Settings settings;
    settings.myhostname = "mx.test";
    settings.listen.emplace_back();
    return settings;
  }
  std::vector<RoleStart::Listening> listening() {
    std::vector<RoleStart::Listening> list;
    list.push_back({0, listener_.open(10)});
    return list;
  }
  // What was said to the client.
  std::string heard(const UniqueFd& client) {
    run_loop(base_.get());
    std::array<char, 512> text{};
    const ssize_t got = ::recv(client.get(), text.data(), text.size(), 0);
    return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }

  const EventBasePtr base_{event_base_new()};
  const UniqueFd page_ = *make_shared_memory<CounterNumbers>();
  UnixListener listener_;
  FarEnd master_;
  Frontend frontend_{base_.get(),
                     settings(),
                     *NetworkList::make({}),
                     std::nullopt,
                     0,
                     *Counters::map(page_),
                     Channel(master_.open()),
                     listening()};
};

TEST_F(FrontendTest, LetsClientsWaitUntilMasterSaysServe) {
  const UniqueFd client = listener_.connect();
  EXPECT_EQ(heard(client), "");
  master_.send(Serve{});
  EXPECT_THAT(heard(client), testing::StartsWith("220 mx.test "));
}

TEST_F(FrontendTest, LetsNobodyInAfterStop) {
  master_.send(Stop{});
  master_.send(Serve{});
  run_loop(base_.get());
  EXPECT_FALSE(listener_.connect());
}

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
