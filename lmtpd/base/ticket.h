// lmtpd/base/ticket.h -- who may be delivered to, said by lookup and carried by the frontend.
//
// Only lookup names a uid or a path. Its answer carries a ticket for each mailbox; the frontend can
// read a ticket, to know whose worker it is for, but can neither make nor alter one. Two tags guard
// it, each 128 bits of keyed BLAKE2b (RFC 7693) over all that comes before it:
//   worker_tag  under a key derived for (uid, gid). The worker of that owner holds the key, so one
//   that
//               was taken over can forge tickets for itself, and for no one else.
//   maker_tag   under a key that only lookup and master hold: what master asks for before it makes
//               a mailbox at that path, and before it starts a worker for that owner.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lmtpd/base/types.h"

namespace lmtpd {

using Key = std::array<std::uint8_t, 32>;

// CLOCK_MONOTONIC, which every process of one boot shares.
using Clock = std::chrono::steady_clock;

struct Ticket {
  MailboxOwner owner;
  MailboxPath path;
  Clock::time_point expiry;
};

// Master makes one at start and gives it to lookup.
[[nodiscard]] Key make_ticket_key();

// What a worker for `owner` gets.
[[nodiscard]] Key derive_worker_key(const Key& ticket_key, MailboxOwner owner);

// A ticket in its sealed form, at most 4200 octets. A nonce makes two of one mailbox differ.
[[nodiscard]] std::string seal_ticket(const Key& ticket_key, const Ticket& ticket);

// What a sealed ticket says, unverified: what the frontend routes by. nullopt if `sealed` has not
// the form of a ticket.
[[nodiscard]] std::optional<Ticket> read_ticket(std::string_view sealed);

// Whose mailbox it says it is for, unverified, of a ticket that read_ticket() has read.
[[nodiscard]] MailboxOwner read_ticket_owner(std::string_view sealed);

// The ticket, or nullopt if it was not made for `owner` with this key, was altered, or is past its
// expiry at `now`. Says nothing of which.
[[nodiscard]] std::optional<Ticket> open_ticket_as_worker(const Key& worker_key, MailboxOwner owner,
                                                          std::string_view sealed,
                                                          Clock::time_point now);
[[nodiscard]] std::optional<Ticket> open_ticket_as_maker(const Key& ticket_key,
                                                         std::string_view sealed,
                                                         Clock::time_point now);

}  // namespace lmtpd
