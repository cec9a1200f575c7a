#include "lmtpd/session/delivery.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace lmtpd::session {
namespace {

constexpr std::uint64_t kAllocation = 16;  // what a block has beside its octets

std::uint64_t octets_of(const std::string& text) {
  static const std::size_t inside = std::string().capacity();
  return text.capacity() > inside ? text.capacity() + kAllocation : 0;
}

}  // namespace

std::uint64_t Recipient::octets() const {
  std::uint64_t sum = sizeof *this + octets_of(address) + octets_of(original);
  sum += mailboxes.capacity() * sizeof(Mailbox) + kAllocation;
  for (const Mailbox& mailbox : mailboxes) {
    sum += octets_of(mailbox.ticket) + octets_of(mailbox.path) + octets_of(mailbox.delivered_to);
  }
  return sum;
}

Delivery::Delivery(const std::vector<Recipient>& recipients) {
  struct Place {
    std::size_t copy;
    const Recipient* last;  // that led there
  };
  std::unordered_map<std::string_view, Place> by_path;
  for (const Recipient& recipient : recipients) {
    std::vector<std::size_t>& mine = copies_of_.emplace_back();
    for (const Mailbox& mailbox : recipient.mailboxes) {
      const auto [found, is_new] =
          by_path.try_emplace(mailbox.path, Place{copies_.size(), nullptr});
      if (is_new) copies_.push_back({&mailbox, &recipient.original});
      Place& place = found->second;
      if (std::exchange(place.last, &recipient) != &recipient) mine.push_back(place.copy);
    }
  }
  known_of_.resize(copies_of_.size());
  outcomes_.resize(copies_.size());
}

bool Delivery::record(std::size_t copy, Result<void> outcome, Clock::time_point now) {
  if (copy >= outcomes_.size() || outcomes_[copy]) return false;
  outcomes_[copy] = Outcome{std::move(outcome), now};
  return true;
}

// It is asked at each outcome, and a recipient may be a list of thousands.
bool Delivery::settled(std::size_t recipient) {
  const std::vector<std::size_t>& mine = copies_of_[recipient];
  std::size_t& known = known_of_[recipient];
  while (known < mine.size() && outcomes_[mine[known]]) ++known;
  return known == mine.size();
}

Clock::time_point Delivery::time_of(std::size_t copy) const { return outcomes_[copy]->time; }

Reply Delivery::reply_of_copy(std::size_t recipient, std::size_t copy, const Reply& stored,
                              bool defer_over_quota) const {
  const Result<void>& result = outcomes_[copy]->result;
  if (result) return stored;
  return copies_of_[recipient].size() == 1 ? reply_to(result.error(), defer_over_quota)
                                           : deferring_reply_to(result.error());
}

Reply Delivery::reply(std::size_t recipient, const Reply& stored, bool defer_over_quota) const {
  const std::vector<std::size_t>& mine = copies_of_[recipient];
  const auto failed =
      std::ranges::find_if(mine, [&](std::size_t copy) { return !outcomes_[copy]->result; });
  return failed == mine.end() ? stored
                              : reply_of_copy(recipient, *failed, stored, defer_over_quota);
}

}  // namespace lmtpd::session
