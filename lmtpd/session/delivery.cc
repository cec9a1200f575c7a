#include "lmtpd/session/delivery.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace lmtpd::session {

Delivery::Delivery(const std::vector<Recipient>& recipients) {
  std::unordered_map<std::string_view, std::size_t> by_path;
  for (const Recipient& recipient : recipients) {
    std::vector<std::size_t>& mine = copies_of_.emplace_back();
    for (const Mailbox& mailbox : recipient.mailboxes) {
      const auto [place, is_new] = by_path.try_emplace(mailbox.path, copies_.size());
      if (is_new) copies_.push_back({&mailbox, &recipient.original});
      if (std::ranges::find(mine, place->second) == mine.end()) mine.push_back(place->second);
    }
  }
  outcomes_.resize(copies_.size());
}

bool Delivery::record(std::size_t copy, Result<void> outcome, Clock::time_point now) {
  if (copy >= outcomes_.size() || outcomes_[copy]) return false;
  outcomes_[copy] = Outcome{std::move(outcome), now};
  return true;
}

bool Delivery::settled(std::size_t recipient) const {
  return std::ranges::all_of(copies_of_[recipient],
                             [&](std::size_t copy) { return outcomes_[copy].has_value(); });
}

const Error* Delivery::failure(std::size_t copy) const {
  const auto& outcome = outcomes_[copy];
  return outcome && !outcome->result ? &outcome->result.error() : nullptr;
}

Clock::time_point Delivery::time_of(std::size_t copy) const {
  return outcomes_[copy] ? outcomes_[copy]->time : Clock::time_point();
}

Reply Delivery::reply(std::size_t recipient, const Reply& stored, bool defer_over_quota) const {
  const std::vector<std::size_t>& mine = copies_of_[recipient];
  for (const std::size_t copy : mine) {
    const Error* error = failure(copy);
    if (error == nullptr) continue;
    return mine.size() == 1 ? reply_to(*error, defer_over_quota) : deferring_reply_to(*error);
  }
  return stored;
}

}  // namespace lmtpd::session
