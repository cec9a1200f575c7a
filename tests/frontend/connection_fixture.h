// tests/frontend/connection_fixture.h -- one connection, its client's end, and Services and
// Questions that wait to be answered.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lmtpd/frontend/connection.h"
#include "tests/frontend/far_end.h"

namespace lmtpd::frontend {

class ConnectionFixture : public testing::Test, public Services, public Questions {
 protected:
  // `lookup`: nullptr for this.
  void connect(const session::Settings& settings, const TlsContext* tls,
               Questions* lookup = nullptr) {
    // Datagrams of a kind: what leaves in one send(2) is read in one piece, or cut at 4 KiB.
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()),
              0);
    client_.reset(ends[0]);
    connection_.emplace(base_.get(), 1, Connection::Client{UniqueFd(ends[1]), {}, "", "S1"},
                        Connection::Terms{settings, tls, places_, recipients_, trusted_clients_,
                                          lookup == nullptr ? *this : *lookup},
                        *this);
    run();
  }

  void resolve(std::uint64_t, std::uint64_t request, const std::string&,
               std::string address) override {
    asked_.push_back({request, std::move(address)});
  }
  void abandon(std::uint64_t) override { asked_.clear(); }
  void begin_auth(std::uint64_t, const session::AuthStart& start) override {
    auth_.emplace_back(start.mechanism);
  }
  void respond_auth(std::uint64_t, std::string_view response) override {
    auth_.emplace_back(response);
  }
  void end_auth(std::uint64_t) override { auth_.emplace_back("end"); }
  bool book(const MessageName& message, std::uint64_t octets) override {
    bookings_.emplace_back(message.body, octets);
    return has_room_;
  }
  void release(const MessageName& message) override { released_.push_back(message.body); }
  void deliver(const MessageName& message, Body, std::vector<session::Copy>) override {
    delivering_ = message.body;
  }
  void on_place_taken(std::uint64_t) override { has_place_ = true; }
  void count(Counter counter) override { counted_.push_back(counter); }
  void log(std::string_view line) override { lines_.emplace_back(line); }
  void on_finished(std::uint64_t) override { finished_ = true; }

  void run() { run_loop(base_.get()); }
  void send(std::string_view octets) {
    ASSERT_EQ(::send(client_.get(), octets.data(), octets.size(), 0),
              static_cast<ssize_t>(octets.size()));
    run();
  }
  // What came in one piece; empty: nothing did.
  std::string receive() {
    std::array<char, 4096> buffer{};
    const ssize_t size = ::recv(client_.get(), buffer.data(), buffer.size(), 0);
    return {buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
  }
  void answer_oldest() {
    ASSERT_FALSE(asked_.empty());
    connection_->on_resolved(asked_.front().first,
                             std::vector{session::Mailbox{"t", "x.org/a", asked_.front().second}});
    asked_.erase(asked_.begin());
    run();
  }

  const EventBasePtr base_{event_base_new()};
  ClientPlaces places_{1, 1};
  RecipientRoom recipients_{1 << 20};
  const NetworkList trusted_clients_;
  UniqueFd client_;
  std::vector<std::pair<std::uint64_t, std::string>> asked_;
  std::vector<std::string> auth_;
  bool has_room_ = true;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> bookings_;  // (body, octets)
  std::vector<std::uint64_t> released_;
  std::uint64_t delivering_ = 0;
  std::vector<Counter> counted_;
  std::vector<std::string> lines_;
  bool has_place_ = false;
  bool finished_ = false;
  std::optional<Connection> connection_;  // last: its end is told to the others
};

}  // namespace lmtpd::frontend
