// lmtpd/delivery/missing_mailboxes.h -- deliveries that wait until master has made their mailbox.
//
// One request a mailbox, however many deliveries wait for it. Other deliveries go on meanwhile.
// Bounded by the windows of the frontends' channels.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>

#include "lmtpd/base/ticket.h"
#include "lmtpd/delivery/job.h"

namespace lmtpd::delivery {

class MissingMailboxes {
 public:
  // Longer than master allows its helper, shorter than a frontend waits for an outcome.
  static constexpr std::chrono::seconds kDeadline{90};

  // The number of the request to send to master, or nullopt if the job's mailbox was asked for
  // already.
  [[nodiscard]] std::optional<std::uint64_t> add(Job job, Clock::time_point now);

  // Whether a request of that number was ever made; its answer may come after the deadline.
  [[nodiscard]] bool is_number(std::uint64_t request) const {
    return request > 0 && request <= last_request_;
  }

  // The deliveries that waited for that request, for those past their deadline, for any.
  [[nodiscard]] Jobs take(std::uint64_t request);
  [[nodiscard]] Jobs take_expired(Clock::time_point now);
  [[nodiscard]] Jobs take_all();

  [[nodiscard]] bool empty() const { return requests_.empty(); }
  [[nodiscard]] std::optional<Clock::time_point> next_deadline() const;

 private:
  struct Request {
    Clock::time_point deadline;
    Jobs jobs;
  };

  std::uint64_t last_request_ = 0;
  std::map<std::uint64_t, Request> requests_;  // in the order of their deadlines
};

}  // namespace lmtpd::delivery
