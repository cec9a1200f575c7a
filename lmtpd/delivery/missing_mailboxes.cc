#include "lmtpd/delivery/missing_mailboxes.h"

#include <algorithm>

namespace lmtpd::delivery {

void MissingMailboxes::add(Job job, Clock::time_point now) {
  const auto asked = std::find_if(requests_.begin(), requests_.end(), [&](const auto& request) {
    return request.second.jobs.front().path == job.path;
  });
  if (asked != requests_.end()) {
    asked->second.jobs.push_back(std::move(job));
    return;
  }
  Request& request = requests_[++last_request_];
  request.deadline = now + kDeadline;
  request.jobs.push_back(std::move(job));
}

std::optional<MakeMailbox> MissingMailboxes::next() {
  const auto request = requests_.upper_bound(last_asked_);
  if (request == requests_.end() || asked_.size() >= kDeliveryWindow) return std::nullopt;
  last_asked_ = request->first;
  asked_.insert(last_asked_);
  return MakeMailbox{.id = last_asked_, .ticket = request->second.jobs.front().ticket};
}

Jobs MissingMailboxes::take_answered(std::uint64_t request) {
  asked_.erase(request);
  return take(request);
}

Jobs MissingMailboxes::take(std::uint64_t request) {
  const auto found = requests_.find(request);
  if (found == requests_.end()) return {};
  Jobs jobs = std::move(found->second.jobs);
  requests_.erase(found);
  return jobs;
}

Jobs MissingMailboxes::take_expired(Clock::time_point now) {
  Jobs jobs;
  while (!requests_.empty() && requests_.begin()->second.deadline <= now) {
    jobs.splice(jobs.end(), take(requests_.begin()->first));
  }
  return jobs;
}

Jobs MissingMailboxes::take_all() { return take_expired(Clock::time_point::max()); }

std::optional<Clock::time_point> MissingMailboxes::next_deadline() const {
  if (requests_.empty()) return std::nullopt;
  return requests_.begin()->second.deadline;
}

}  // namespace lmtpd::delivery
