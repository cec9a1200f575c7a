#include "lmtpd/frontend/doors.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "tests/base/unix_listener.h"
#include "tests/frontend/far_end.h"
#include "tests/frontend/proxy_headers.h"

namespace lmtpd::frontend {
namespace {

class DoorsTest : public testing::Test, public Doors::Owner {
 protected:
  void open(bool proxy) {
    make(proxy);
    doors_->open();
  }
  void make(bool proxy) {
    Settings settings;
    settings.myhostname = "mx.test";
    ListenSpec spec;
    spec.options.proxy = proxy;
    settings.listen.push_back(spec);
    std::vector<RoleStart::Listening> listening;
    listening.push_back({0, listener_.open(10)});
    doors_.emplace(base_.get(), settings, *NetworkList::make({}), std::move(listening), *this);
  }
  UniqueFd connect() {
    UniqueFd client = listener_.connect();
    run_loop(base_.get());
    return client;
  }
  void send(const UniqueFd& client, std::string_view octets) {
    EXPECT_EQ(::send(client.get(), octets.data(), octets.size(), 0),
              static_cast<ssize_t>(octets.size()));
    run_loop(base_.get());
  }
  [[nodiscard]] std::size_t times(Counter counter) const {
    return static_cast<std::size_t>(std::ranges::count(counted_, counter));
  }

  // Doors::Owner
  void on_arrived(Arrived client) override { arrived_.push_back(std::move(client)); }
  void on_nobody_awaited() override { ++nobody_awaited_; }
  [[nodiscard]] std::size_t connections() const override { return arrived_.size(); }
  void count(Counter counter) override { counted_.push_back(counter); }

  const EventBasePtr base_{event_base_new()};
  UnixListener listener_;
  std::optional<Doors> doors_;
  std::vector<Arrived> arrived_;
  std::vector<Counter> counted_;
  int nobody_awaited_ = 0;
};

TEST_F(DoorsTest, LetTheBacklogWaitUntilTheyAreOpened) {
  make(false);
  const UniqueFd client = connect();
  doors_->tick();
  run_loop(base_.get());
  EXPECT_TRUE(arrived_.empty());
  doors_->open();
  run_loop(base_.get());
  EXPECT_EQ(arrived_.size(), 1U);
}

TEST_F(DoorsTest, KnowWhoComesByAUnixSocket) {
  open(false);
  const UniqueFd client = connect();
  ASSERT_EQ(arrived_.size(), 1U);
  EXPECT_TRUE(arrived_[0].peer.trusted);
  EXPECT_EQ(arrived_[0].client, "uid " + std::to_string(::getuid()));
  EXPECT_EQ(arrived_[0].settings.hostname, "mx.test");
  EXPECT_EQ(times(Counter::connections), 1U);
}

TEST_F(DoorsTest, WaitForTheProxysWord) {
  open(true);
  const UniqueFd client = connect();
  EXPECT_TRUE(arrived_.empty());
  EXPECT_FALSE(doors_->nobody_awaited());
  send(client, proxy_header(kProxyCommand, kTcp6Family, tcp6_addresses()));
  ASSERT_EQ(arrived_.size(), 1U);
  EXPECT_FALSE(arrived_[0].peer.trusted);
  EXPECT_EQ(arrived_[0].peer.address, "2001:db8::7");
  EXPECT_EQ(arrived_[0].client, "2001:db8::/64");
  EXPECT_TRUE(doors_->nobody_awaited());
  EXPECT_EQ(nobody_awaited_, 1);
}

TEST_F(DoorsTest, CloseOnWhomTheirProxyDoesNotName) {
  open(true);
  const UniqueFd client = connect();
  send(client, "LHLO c\r\n");
  EXPECT_TRUE(arrived_.empty());
  EXPECT_EQ(times(Counter::connections_refused), 1U);
  EXPECT_EQ(nobody_awaited_, 1);
  char octet = 0;
  EXPECT_EQ(::recv(client.get(), &octet, 1, 0), 0);
}

TEST_F(DoorsTest, OnceClosedLetInWhoHasComeAndNobodyElse) {
  open(true);
  const UniqueFd client = connect();
  doors_->close();
  EXPECT_FALSE(connect());
  send(client, proxy_header(kLocalCommand, kTcp4Family, tcp4_addresses()));
  EXPECT_EQ(arrived_.size(), 1U);
}

#ifndef LMTPD_SANITIZED  // UBSan's own checks need a descriptor
TEST_F(DoorsTest, LetTheBacklogWaitWhileDescriptorsAreShort) {
  open(false);
  const UniqueFd client = listener_.connect();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const UniqueFd next(::dup(client.get()));
  const rlimit none_left{static_cast<rlim_t>(next.get()), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none_left), 0);
  run_loop(base_.get());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(times(Counter::accept_failures), 1U);
  run_loop(base_.get());
  EXPECT_TRUE(arrived_.empty());
  doors_->tick();
  run_loop(base_.get());
  EXPECT_EQ(arrived_.size(), 1U);
}
#endif

}  // namespace
}  // namespace lmtpd::frontend
