// lmtpd/session/delivery.h -- which copies a message needs, and what each recipient is told.
//
// Equal mailbox paths get one copy, with the addresses of the first recipient that leads there. A
// recipient with several mailboxes gets one reply: 250 only if all of them have the message.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lmtpd/base/address.h"
#include "lmtpd/base/ticket.h"
#include "lmtpd/session/reply.h"
#include "lmtpd/session/session.h"

namespace lmtpd::session {

// An accepted RCPT.
struct Recipient {
  std::string address;         // as the client gave it, in its external form
  std::string original;        // ORCPT's address, else the same
  Clock::time_point asked;     // its RCPT came
  Clock::time_point resolved;  // its mailboxes were known
  std::vector<Mailbox> mailboxes;

  // That this takes, with what malloc(3) adds.
  [[nodiscard]] std::uint64_t octets() const;
};

class Delivery {
 public:
  struct Plan {
    const Mailbox* mailbox;
    const std::string* original;
  };

  // `recipients` outlive this.
  explicit Delivery(const std::vector<Recipient>& recipients);

  [[nodiscard]] const std::vector<Plan>& copies() const { return copies_; }

  // False: there is no such copy, or its outcome is known already.
  [[nodiscard]] bool record(std::size_t copy, Result<void> outcome, Clock::time_point now);

  // The copies that recipient `recipient` waits for, by index.
  [[nodiscard]] const std::vector<std::size_t>& copies_of(std::size_t recipient) const {
    return copies_of_[recipient];
  }
  // All of them have outcomes.
  [[nodiscard]] bool settled(std::size_t recipient);
  // When the outcome of `copy`, which is known, came.
  [[nodiscard]] Clock::time_point time_of(std::size_t copy) const;

  // What a settled recipient is told of `copy`, one of his: its own reply where it is all that he
  // has; of several one that does not bounce the mail for the others. `stored` is the good one.
  [[nodiscard]] Reply reply_of_copy(std::size_t recipient, std::size_t copy, const Reply& stored,
                                    bool defer_over_quota) const;
  // What he is told: of the first of his copies that failed, if one did.
  [[nodiscard]] Reply reply(std::size_t recipient, const Reply& stored,
                            bool defer_over_quota) const;

 private:
  struct Outcome {
    Result<void> result;
    Clock::time_point time;
  };
  std::vector<Plan> copies_;
  std::vector<std::vector<std::size_t>> copies_of_;
  std::vector<std::size_t> known_of_;  // of these, how many from the first on have outcomes
  std::vector<std::optional<Outcome>> outcomes_;
};

}  // namespace lmtpd::session
