// tests/maildir/deliver.h -- small messages for a Deliverer.
#pragma once

#include <string>
#include <vector>

#include "maildir/delivery.h"
#include "tests/maildir/mail_base.h"
#include "tests/maildir/recorded_calls.h"

namespace lmtpd::testing {

// Delivers "Subject: PATH" to each of `paths` as one group; the outcomes as text.
inline std::vector<std::string> deliver(const maildir::Deliverer& to,
                                        const std::vector<std::string>& paths, bool alone = false) {
  std::vector<MailboxPath> parsed;
  std::vector<std::string> headers;
  std::vector<maildir::Delivery> group;
  for (const std::string& path : paths) {
    parsed.push_back(mailbox_path(path));
    headers.push_back("Subject: " + path + "\n");
  }
  for (std::size_t i = 0; i < parsed.size(); ++i) {
    group.push_back({.path = &parsed[i],
                     .headers = headers[i],
                     .body = "\nText\n",
                     .body_size = 6,
                     .wire_size = headers[i].size() + 9});
  }
  std::vector<std::string> outcomes;
  for (const maildir::Outcome& outcome : to.deliver(group, alone)) {
    outcomes.push_back(as_text(outcome));
  }
  return outcomes;
}

}  // namespace lmtpd::testing
