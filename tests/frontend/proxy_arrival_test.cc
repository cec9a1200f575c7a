#include "lmtpd/frontend/proxy_arrival.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <optional>

#include "tests/frontend/far_end.h"
#include "tests/frontend/proxy_headers.h"

namespace lmtpd::frontend {
namespace {

class ProxyArrivalTest : public testing::Test, public ProxyArrival::Owner {
 protected:
  ProxyArrivalTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    proxy_.reset(ends[0]);
    near_.reset(ends[1]);
  }

  void arrive(timeval patience = {60, 0}) {
    arrival_.emplace(base_.get(), std::move(near_), sockaddr_storage{}, 7, patience, *this);
  }
  void on_proxy_header(std::uint64_t name,
                       tl::expected<ProxyHeader, std::string_view> header) override {
    EXPECT_EQ(name, 7U);
    EXPECT_FALSE(heard_) << "twice";
    heard_ = header;
  }
  void send(std::string_view octets) {
    EXPECT_EQ(::send(proxy_.get(), octets.data(), octets.size(), 0),
              static_cast<ssize_t>(octets.size()));
    run_loop(base_.get());
  }
  void expect_fault(std::string_view words) {
    ASSERT_TRUE(heard_);
    ASSERT_FALSE(*heard_);
    EXPECT_EQ(heard_->error(), words);
  }

  const EventBasePtr base_{event_base_new()};
  UniqueFd proxy_;
  UniqueFd near_;
  std::optional<ProxyArrival> arrival_;
  std::optional<tl::expected<ProxyHeader, std::string_view>> heard_;
};

TEST_F(ProxyArrivalTest, LeavesWhatFollowsTheHeaderInTheSocket) {
  arrive();
  send(proxy_header(kProxyCommand, kTcp4Family, tcp4_addresses()) + "LHLO early\r\n");
  ASSERT_TRUE(heard_ && *heard_);
  EXPECT_EQ((*heard_)->client, ProxyHeader::Client::internet);
  const UniqueFd socket = arrival_->take_socket();
  std::array<char, 100> rest{};
  ASSERT_EQ(::recv(socket.get(), rest.data(), rest.size(), 0), 12);
  EXPECT_EQ(std::string_view(rest.data(), 12), "LHLO early\r\n");
}

TEST_F(ProxyArrivalTest, TakesAHeaderOctetByOctet) {
  arrive();
  const std::string header = proxy_header(kProxyCommand, kTcp6Family, tcp6_addresses());
  for (const char& octet : header) {
    EXPECT_FALSE(heard_);
    send({&octet, 1});
  }
  ASSERT_TRUE(heard_);
  EXPECT_TRUE(*heard_);
}

TEST_F(ProxyArrivalTest, RefusesAtOnceWhatIsNoHeader) {
  arrive();
  send("LHLO c\r\n");
  expect_fault("not of version 2");
}

TEST_F(ProxyArrivalTest, SaysNothingOfAProxyThatOnlyKnocks) {
  arrive();
  proxy_.reset();
  run_loop(base_.get());
  expect_fault("");
}

TEST_F(ProxyArrivalTest, AHeaderThatEndsEarlyIsNone) {
  arrive();
  send(proxy_header(kProxyCommand, kTcp4Family, tcp4_addresses()).substr(0, 20));
  EXPECT_FALSE(heard_);
  proxy_.reset();
  run_loop(base_.get());
  expect_fault("cut short");
}

TEST_F(ProxyArrivalTest, OctetsNowAndThenDoNotExtendTheTime) {
  arrive({0, 20'000});
  const std::string header = proxy_header(kProxyCommand, kTcp4Family, tcp4_addresses());
  send(header.substr(0, 5));
  while (!heard_) event_base_loop(base_.get(), EVLOOP_ONCE);
  expect_fault("not there in time");
}

}  // namespace
}  // namespace lmtpd::frontend
