// tests/delivery/worker_fixture.h -- a worker, its peers, and what a test says to them.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lmtpd/master/mailbox_maker.h"
#include "tests/delivery/worker_process.h"
#include "tests/maildir/mail_base.h"

namespace lmtpd::testing {

class WorkerTest : public MailBase {
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

}  // namespace lmtpd::testing
