#include "lmtpd/delivery/missing_mailboxes.h"

#include <algorithm>

namespace lmtpd::delivery {

std::optional<std::uint64_t> MissingMailboxes::add(const Job& job, UniqueFd body_fd,
                                                   Clock::time_point now) {
  const auto asked = std::find_if(requests_.begin(), requests_.end(), [&](const auto& request) {
    return request.second.jobs.front().job().path == job.path;
  });
  if (asked != requests_.end()) {
    asked->second.jobs.emplace_back(job, std::move(body_fd));
    return std::nullopt;
  }
  Request& request = requests_[++last_request_];
  request.deadline = now + kDeadline;
  request.jobs.emplace_back(job, std::move(body_fd));
  return last_request_;
}

HeldJobs MissingMailboxes::take(std::uint64_t request) {
  const auto found = requests_.find(request);
  if (found == requests_.end()) return {};
  HeldJobs jobs = std::move(found->second.jobs);
  requests_.erase(found);
  return jobs;
}

HeldJobs MissingMailboxes::take_expired(Clock::time_point now) {
  HeldJobs jobs;
  while (!requests_.empty() && requests_.begin()->second.deadline <= now) {
    jobs.splice(jobs.end(), take(requests_.begin()->first));
  }
  return jobs;
}

HeldJobs MissingMailboxes::take_all() { return take_expired(Clock::time_point::max()); }

std::optional<Clock::time_point> MissingMailboxes::next_deadline() const {
  if (requests_.empty()) return std::nullopt;
  return requests_.begin()->second.deadline;
}

}  // namespace lmtpd::delivery
