// lmtpd/delivery/job.h -- one delivery that a frontend asked for.
#pragma once

#include <cstdint>
#include <list>
#include <string>

#include "lmtpd/base/types.h"
#include "lmtpd/base/unique_fd.h"
#include "maildir/delivery.h"

namespace lmtpd::delivery {

// The channel it came from: numbered as they were introduced, never twice.
using LinkNumber = std::uint64_t;

struct Job {
  LinkNumber link = 0;
  std::uint64_t id = 0;  // the frontend's
  MailboxPath path;      // as the ticket has it
  std::string ticket;
  std::string headers;
  std::string body;
  UniqueFd body_fd;  // where there is one: the body, a memfd
  std::uint64_t body_size = 0;
  std::uint64_t wire_size = 0;
  bool alone = false;         // Deliver says so, and the body is here
  bool mailbox_made = false;  // master was asked to make the mailbox, and has
};

// A list, so that a job goes from hand to hand and stays where it is.
using Jobs = std::list<Job>;

}  // namespace lmtpd::delivery
