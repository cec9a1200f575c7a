// lookup/ticket_office.h -- makes tickets for mailboxes, and knows its own again
// (lmtpd/base/ticket.h).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "lmtpd/base/ticket.h"
#include "lookup/mailbox_lookup.h"

namespace lmtpd::lookup {

class TicketOffice {
 public:
  // A ticket outlives the longest transaction (transaction_time_limit).
  TicketOffice(const Key& key, std::chrono::milliseconds transaction_time_limit)
      : key_(key), life_(transaction_time_limit + std::chrono::minutes(10)) {}

  [[nodiscard]] std::string issue(const ResolvedMailbox& mailbox, Clock::time_point now) const {
    return seal_ticket(key_, {mailbox.owner, mailbox.path, now + life_});
  }
  [[nodiscard]] std::optional<Ticket> open(std::string_view sealed, Clock::time_point now) const {
    return open_ticket_as_maker(key_, sealed, now);
  }

 private:
  Key key_;
  std::chrono::milliseconds life_;
};

}  // namespace lmtpd::lookup
