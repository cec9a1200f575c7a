// lookup/evaluation.h -- the rules of resolution, as a pure function of the tables' answers.
//
// One recipient's way to its mailboxes: its aliases, each target's mailbox, and what becomes of it
// all. Knows nothing of waiting: it gives up where an answer is missing and is run again when that
// is there. The aliases go on from where they stopped, since they may be a thousand steps; the rest
// is found again.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lmtpd/base/address.h"
#include "lmtpd/base/result.h"
#include "lookup/expansion.h"
#include "lookup/mailbox_lookup.h"
#include "lookup/note_log.h"
#include "lookup/resolver_settings.h"
#include "lookup/table_search.h"

namespace lmtpd::lookup {

struct Resolution {
  // One at least, each path once. Else unknown_user, lookup_failed, alias_limit, bad_mailbox,
  // remote_target, transport_error or transport_retry.
  Result<std::vector<ResolvedMailbox>> mailboxes;
  // For the log: what the administrator should mend although mail is delivered, or cannot see from
  // the recipient's log line.
  std::vector<Note> notes;
};

class Evaluation {
 public:
  // The settings and the answers outlive it.
  Evaluation(const Address& recipient, const ResolverSettings& settings, Answers& answers);

  // nullopt: answers are missing; to be run again when they are there.
  [[nodiscard]] std::optional<Resolution> run();

 private:
  class Verdict;

  [[nodiscard]] bool is_postmaster() const;
  std::optional<Resolution> to_postmaster();
  [[nodiscard]] Resolution refuse() const;
  // `start` is the recipient's own address, or the one that stands in for it.
  std::optional<Resolution> resolve(const PlainAddress& start, std::optional<Expansion>& expansion,
                                    bool is_recipient);
  // False: answers are missing.
  bool judge(const PlainAddress& target, bool is_alias_target, Verdict& verdict);
  bool judge_refused(const PlainAddress& target, bool is_alias_target, Error error,
                     Verdict& verdict);
  void add_remote(const PlainAddress& target, Verdict& verdict) const;

  PlainAddress recipient_;
  const ResolverSettings* settings_;
  TableSearch first_;   // as it is before any question
  TableSearch search_;  // of this run
  bool was_alias_ = false;
  std::optional<Expansion> expansion_;
  std::optional<Expansion> postmaster_expansion_;
};

}  // namespace lmtpd::lookup
