#include "lookup/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "lmtpd/base/log.h"
#include "lookup/fold.h"

namespace lmtpd::lookup {
namespace {

using Outcome = Search::Outcome;

bool is_refusal(Reason reason) {
  return reason == Reason::unknown_user || reason == Reason::transport_error;
}

}  // namespace

// What becomes of a recipient whose targets are these, once all are known.
class Evaluation::Verdict {
 public:
  Verdict(std::string recipient, std::string row)
      : recipient_(std::move(recipient)), row_(row.empty() ? recipient_ : std::move(row)) {}

  void add(ResolvedMailbox mailbox) {
    const auto same_path = [&](const ResolvedMailbox& other) { return other.path == mailbox.path; };
    if (std::none_of(mailboxes_.begin(), mailboxes_.end(), same_path)) {
      mailboxes_.push_back(std::move(mailbox));
    }
  }
  // Refused for good, be it unknown or by its transport row. Mail for the others goes on: refused,
  // it would be lost to all.
  void add_dead(const PlainAddress& target, Error error) {
    dead_.push_back({escaped(target.external()), std::move(error)});
  }
  // Nothing is delivered. What may pass off comes before what does not.
  void add_failure(Error error) {
    if (!failure_ || (is_refusal(failure_->reason) && !is_refusal(error.reason))) {
      failure_ = std::move(error);
    }
  }
  // An alias row's first note is one note, whoever its recipient.
  void add_note(std::string text) {
    notes_.push_back({fmt::format("{} {}", row_, notes_.size()), std::move(text)});
  }

  Resolution take() {
    if (failure_) return {tl::unexpected(*std::move(failure_)), std::move(notes_)};
    if (mailboxes_.empty())
      return {tl::unexpected(std::move(dead_.front().error)), std::move(notes_)};
    for (const Dead& dead : dead_) {
      // "unknown user" names him.
      const bool is_named = dead.error.reason == Reason::unknown_user;
      add_note(fmt::format("alias <{}>: dead target beside living ones: {}{}", recipient_,
                           is_named ? "" : fmt::format("<{}>: ", dead.target), dead.error.text));
    }
    return {std::move(mailboxes_), std::move(notes_)};
  }

 private:
  struct Dead {
    std::string target;
    Error error;
  };

  std::string recipient_;
  std::string row_;
  std::vector<ResolvedMailbox> mailboxes_;
  std::vector<Dead> dead_;
  std::optional<Error> failure_;
  std::vector<Note> notes_;
};

Evaluation::Evaluation(const Address& recipient, const ResolverSettings& settings, Answers& answers)
    : recipient_{recipient.local_part(), recipient.domain()},
      settings_(&settings),
      first_(settings, answers),
      search_(first_) {}

std::optional<Resolution> Evaluation::run() {
  search_ = first_;
  was_alias_ = false;
  if (recipient_.domain.empty()) {
    // RFC 5321 4.5.1: <postmaster> alone; no other address without a domain is anybody.
    return is_postmaster() ? to_postmaster() : refuse();
  }
  std::optional<Resolution> resolution = resolve(recipient_, expansion_, true);
  if (!resolution || !is_postmaster() || resolution->mailboxes || was_alias_ ||
      resolution->mailboxes.error().reason != Reason::unknown_user) {
    return resolution;
  }
  const Search served =
      search_.find_domain(settings_->virtual_mailbox_domains, fold(recipient_.domain));
  switch (served.outcome) {
    case Outcome::pending:
      return std::nullopt;
    case Outcome::failed:
      return Resolution{fail(Reason::lookup_failed, served.why), {}};
    case Outcome::found:
      return to_postmaster();
    default:
      if (std::optional<Error> doubt = search_.doubt()) {
        return Resolution{tl::unexpected(*std::move(doubt)), {}};
      }
      return resolution;
  }
}

bool Evaluation::is_postmaster() const {
  return settings_->postmaster_address && fold(recipient_.local_part) == "postmaster";
}

std::optional<Resolution> Evaluation::to_postmaster() {
  return resolve(*settings_->postmaster_address, postmaster_expansion_, false);
}

Resolution Evaluation::refuse() const {
  return {fail(Reason::unknown_user,
               fmt::format("unknown user: \"{}\"", escaped(recipient_.external()))),
          {}};
}

std::optional<Resolution> Evaluation::resolve(const PlainAddress& start,
                                              std::optional<Expansion>& expansion,
                                              bool is_recipient) {
  if (!expansion) expansion.emplace(start, *settings_, search_);
  std::optional<Result<std::vector<PlainAddress>>> expanded = expansion->run();
  if (!expanded) return std::nullopt;
  if (!*expanded) return Resolution{tl::unexpected(std::move(expanded->error())), {}};
  search_ = expansion->search();

  const std::string start_folded = fold(start.internal());
  Verdict verdict(escaped(start.external()), expansion->row());
  bool blocked = false;  // all targets ask for what they lack before the first is waited for
  for (const PlainAddress& target : **expanded) {
    const bool is_alias_target = !is_recipient || fold(target.internal()) != start_folded;
    was_alias_ |= is_alias_target;
    blocked |= !judge(target, is_alias_target, verdict);
  }
  if (blocked) return std::nullopt;
  return verdict.take();
}

bool Evaluation::judge(const PlainAddress& target, bool is_alias_target, Verdict& verdict) {
  std::optional<Result<ResolvedMailbox>> mailbox = find_mailbox(target, *settings_, search_);
  if (!mailbox) return false;
  if (*mailbox) {
    verdict.add(*std::move(*mailbox));
    return true;
  }
  Error& error = mailbox->error();
  if (is_refusal(error.reason)) {
    return judge_refused(target, is_alias_target, std::move(error), verdict);
  }
  verdict.add_failure(std::move(error));
  return true;
}

// A target without a mailbox is unknown in a domain of ours, and remote elsewhere; after an old
// answer it is none of that (TableSearch).
bool Evaluation::judge_refused(const PlainAddress& target, bool is_alias_target, Error error,
                               Verdict& verdict) {
  bool is_remote = false;
  if (error.reason == Reason::unknown_user && is_alias_target && !search_.doubt()) {
    Search served;
    if (!target.domain.empty()) {
      served = search_.find_domain(settings_->virtual_mailbox_domains, fold(target.domain));
    }
    if (served.outcome == Outcome::pending) return false;
    if (served.outcome == Outcome::failed) {
      verdict.add_failure({Reason::lookup_failed, served.why});
      return true;
    }
    is_remote = served.outcome != Outcome::found;
  }
  if (std::optional<Error> doubt = search_.doubt()) {
    verdict.add_failure(*std::move(doubt));
  } else if (is_remote) {
    add_remote(target, verdict);
  } else {
    verdict.add_dead(target, std::move(error));
  }
  return true;
}

void Evaluation::add_remote(const PlainAddress& target, Verdict& verdict) const {
  std::string text = fmt::format(
      "alias target <{}> is not a local mailbox; let Postfix expand it (virtual_alias_maps)",
      escaped(target.external()));
  verdict.add_note(fmt::format("<{}>: {}", escaped(recipient_.external()), text));
  const bool defer = settings_->remote_alias_target == RemoteAliasTarget::defer;
  verdict.add_failure({defer ? Reason::remote_target : Reason::unknown_user, std::move(text)});
}

}  // namespace lmtpd::lookup
