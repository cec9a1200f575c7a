// lmtpd/delivery/job.h -- one delivery that a frontend asked for.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>

#include "lmtpd/base/types.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::delivery {

// The channel it came from: numbered as they were introduced, never twice.
using LinkNumber = std::uint64_t;

// Holds nothing: the views and the descriptor are a packet's, or a HeldJob's.
struct Job {
  LinkNumber link = 0;
  std::uint64_t id = 0;  // the frontend's
  MailboxPath path;      // as the ticket has it
  std::string_view ticket;
  std::string_view headers;
  std::string_view body;
  int body_fd = -1;  // where not -1: the body
  std::uint64_t body_size = 0;
  std::uint64_t wire_size = 0;
  bool mailbox_made = false;  // master was asked to make the mailbox, and has
};

// A job that outlives its packet. Stays where it is: job() refers to its strings.
class HeldJob {
 public:
  // `body_fd` is a duplicate of the job's, or none.
  HeldJob(const Job& job, UniqueFd body_fd)
      : ticket_(job.ticket),
        headers_(job.headers),
        body_(job.body),
        body_fd_(std::move(body_fd)),
        job_(job) {
    job_.ticket = ticket_;
    job_.headers = headers_;
    job_.body = body_;
    job_.body_fd = body_fd_.get();
  }
  HeldJob(const HeldJob&) = delete;
  HeldJob& operator=(const HeldJob&) = delete;

  [[nodiscard]] const Job& job() const { return job_; }
  void set_mailbox_made() { job_.mailbox_made = true; }

 private:
  std::string ticket_;
  std::string headers_;
  std::string body_;
  UniqueFd body_fd_;
  Job job_;
};

using HeldJobs = std::list<HeldJob>;

}  // namespace lmtpd::delivery
