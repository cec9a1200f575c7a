// lmtpd/delivery/missing_mailboxes.h -- deliveries that wait until master has made their mailbox.
//
// One request a mailbox, however many deliveries wait for it, and no more at a time than master
// takes. Other deliveries go on meanwhile. Bounded by the windows of the frontends' channels.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "lmtpd/base/messages.h"
#include "lmtpd/base/ticket.h"
#include "lmtpd/delivery/job.h"

namespace lmtpd::delivery {

class MissingMailboxes {
 public:
  // Longer than master allows its helper, shorter than a frontend waits for an outcome.
  static constexpr std::chrono::seconds kDeadline{90};

  void add(Job job, Clock::time_point now);

  // The next request to send to master, whose ticket is valid until the next call of any other
  // function. nullopt: all are sent, or kDeliveryWindow of them have no answer yet.
  [[nodiscard]] std::optional<MakeMailbox> next();

  // Whether master still has that request; its answer may come after the deadline.
  [[nodiscard]] bool is_asked(std::uint64_t request) const { return asked_.contains(request); }

  // The deliveries that waited for that request, which is answered; those past their deadline; all.
  [[nodiscard]] Jobs take_answered(std::uint64_t request);
  [[nodiscard]] Jobs take_expired(Clock::time_point now);
  [[nodiscard]] Jobs take_all();

  [[nodiscard]] bool empty() const { return requests_.empty(); }
  [[nodiscard]] std::optional<Clock::time_point> next_deadline() const;

 private:
  struct Request {
    Clock::time_point deadline;
    Jobs jobs;
  };

  Jobs take(std::uint64_t request);

  std::uint64_t last_request_ = 0;
  std::uint64_t last_asked_ = 0;
  std::set<std::uint64_t> asked_;              // sent, and not answered yet
  std::map<std::uint64_t, Request> requests_;  // in the order of their deadlines
};

}  // namespace lmtpd::delivery
