#include "lmtpd/delivery/missing_mailboxes.h"

#include <algorithm>

namespace lmtpd::delivery {

std::optional<std::uint64_t> MissingMailboxes::add(Job job, Clock::time_point now) {
  const auto asked = std::find_if(requests_.begin(), requests_.end(), [&](const auto& request) {
    return request.second.jobs.front().path == job.path;
  });
  if (asked != requests_.end()) {
    asked->second.jobs.push_back(std::move(job));
    return std::nullopt;
  }
  Request& request = requests_[++last_request_];
  request.deadline = now + kDeadline;
  request.jobs.push_back(std::move(job));
  return last_request_;
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
