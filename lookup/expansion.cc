#include "lookup/expansion.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lmtpd/base/log.h"
#include "lookup/alias_step.h"
#include "lookup/fold.h"

namespace lmtpd::lookup {
namespace {

using Outcome = Search::Outcome;
using Addresses = std::vector<PlainAddress>;

}  // namespace

Expansion::Expansion(const PlainAddress& address, const ResolverSettings& settings,
                     const TableSearch& search)
    : settings_(&settings), search_(search), start_(address), ahead_(settings) {
  lines_.push_back({address, kNoAncestor});
}

std::optional<Result<Addresses>> Expansion::run() {
  if (settings_->alias_expansion == AliasExpansion::off) return Addresses{start_};
  for (; at_ < lines_.size(); ++at_, steps_ = 0) {
    std::optional<Result<void>> done = expand_line();
    if (!done) {
      look_ahead();
      return std::nullopt;
    }
    if (!*done) return tl::unexpected(std::move(done->error()));
  }
  Addresses addresses;
  addresses.reserve(lines_.size());
  for (const Line& line : lines_) addresses.push_back(line.address);
  return addresses;
}

tl::unexpected<Error> Expansion::limit_hit(std::string_view what) const {
  return fail(Reason::alias_limit,
              fmt::format("alias expansion of <{}>: {}", escaped(start_.external()), what));
}

std::optional<Result<void>> Expansion::expand_line() {
  for (;; ++steps_) {
    std::string folded = fold(lines_[at_].address.internal());
    if (self_results_.contains(folded)) return Result<void>();
    if (steps_ >= settings_->virtual_alias_recursion_limit) {
      return limit_hit("deeper than virtual_alias_recursion_limit");
    }
    // A step that lacks answers leaves no trace: it is taken again from its start.
    TableSearch search = search_;
    AliasStep step = take_alias_step(lines_[at_].address, *settings_, search);
    if (step.outcome == Outcome::pending) return std::nullopt;
    search_ = search;
    if (step.outcome == Outcome::failed) return fail(Reason::lookup_failed, std::move(step.why));
    if (step.outcome != Outcome::found) return Result<void>();
    if (ancestors_.empty()) row_ = std::move(step.row);
    Result<void> taken = take_results(std::move(folded), std::move(step.results));
    if (!taken) return taken;
  }
}

// The first result replaces the line, the others go to the end.
Result<void> Expansion::take_results(std::string folded, Addresses results) {
  const std::size_t from = lines_[at_].ancestor;
  std::vector<std::string> results_folded;
  results_folded.reserve(results.size());
  for (const PlainAddress& result : results) results_folded.push_back(fold(result.internal()));
  const bool is_final =
      std::find(results_folded.begin(), results_folded.end(), folded) != results_folded.end();
  if (is_final) self_results_.insert(folded);

  for (std::size_t i = 0; i < results.size(); ++i) {
    PlainAddress& result = results[i];
    if (result.internal().size() > settings_->virtual_alias_address_length_limit) {
      return limit_hit("a result is longer than virtual_alias_address_length_limit");
    }
    if (!is_final && loops(from, results_folded[i])) {
      return limit_hit(fmt::format("<{}> leads back to itself", escaped(result.external())));
    }
    Line line{std::move(result), ancestors_.size()};
    if (i == 0) {
      lines_[at_] = std::move(line);
    } else {
      lines_.push_back(std::move(line));
    }
  }
  // At once: what is beyond is not looked up.
  if (lines_.size() > settings_->virtual_alias_expansion_limit) {
    return limit_hit("more than virtual_alias_expansion_limit addresses");
  }
  ancestors_.push_back({std::move(folded), from, is_final});
  return {};
}

// Whether `folded`, come to again, would be expanded for ever: on the way from it down to here
// nothing is its own result, where the second round would end.
bool Expansion::loops(std::size_t line, std::string_view folded) const {
  for (; line != kNoAncestor; line = ancestors_[line].ancestor) {
    if (ancestors_[line].is_final) return false;
    if (ancestors_[line].folded == folded) return true;
  }
  return false;
}

void Expansion::look_ahead() {
  for (ahead_of_ = std::max(ahead_of_, at_ + 1); ahead_of_ < lines_.size(); ++ahead_of_) {
    ahead_.add(lines_[ahead_of_].address);
  }
  ahead_.go_on(search_);
}

}  // namespace lmtpd::lookup
