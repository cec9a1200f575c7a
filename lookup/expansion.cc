#include "lookup/expansion.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "lmtpd/base/address.h"
#include "lmtpd/base/log.h"
#include "lookup/alias_results.h"
#include "lookup/fold.h"

namespace lmtpd::lookup {
namespace {

using Outcome = Search::Outcome;
using Addresses = std::vector<PlainAddress>;

class Expansion {
 public:
  Expansion(const PlainAddress& address, const ResolverSettings& settings, TableSearch& search)
      : settings_(settings), search_(search), start_(address) {
    lines_.push_back({address, kNoAncestor});
  }

  std::optional<Result<Addresses>> run() {
    bool blocked = false;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      if (lines_.size() > settings_.virtual_alias_expansion_limit) {
        if (blocked) break;
        return limit_hit("more than virtual_alias_expansion_limit addresses");
      }
      std::optional<Result<void>> done = expand_line(i);
      if (!done) {
        // On to the other lines, whose questions can go out on the same round trip. What they come
        // to does not count: it will be found again when this line is known.
        blocked = true;
      } else if (!*done && !blocked) {
        return tl::unexpected(std::move(done->error()));
      }
    }
    if (blocked) return std::nullopt;
    Addresses addresses;
    addresses.reserve(lines_.size());
    for (Line& line : lines_) addresses.push_back(std::move(line.address));
    return addresses;
  }

 private:
  static constexpr std::size_t kNoAncestor = SIZE_MAX;
  // An address of the result, and what it came from.
  struct Line {
    PlainAddress address;
    std::size_t ancestor;
  };
  struct Ancestor {
    std::string folded;
    std::size_t ancestor;
    bool is_final;  // one of its own results: not expanded again
  };
  // What the tables make of one address. No results: it stays.
  struct Step {
    Outcome outcome = Outcome::absent;
    Addresses results;
    std::string why;
  };

  tl::unexpected<Error> limit_hit(std::string_view what) const {
    return fail(Reason::alias_limit,
                fmt::format("alias expansion of <{}>: {}", escaped(start_.external()), what));
  }

  std::optional<Result<void>> expand_line(std::size_t i) {
    for (std::uint32_t count = 0;; ++count) {
      std::string folded = fold(lines_[i].address.internal());
      if (self_results_.contains(folded)) return Result<void>();
      if (count >= settings_.virtual_alias_recursion_limit) {
        return limit_hit("deeper than virtual_alias_recursion_limit");
      }
      Step step = look_up(lines_[i].address);
      if (step.outcome == Outcome::pending) return std::nullopt;
      if (step.outcome == Outcome::failed) return fail(Reason::lookup_failed, std::move(step.why));
      if (step.outcome != Outcome::found) return Result<void>();
      Result<void> taken = take_results(i, std::move(folded), std::move(step.results));
      if (!taken) return taken;
    }
  }

  // The first result replaces the line, the others go to the end.
  Result<void> take_results(std::size_t i, std::string folded, Addresses results) {
    const std::size_t from = lines_[i].ancestor;
    std::vector<std::string> results_folded;
    results_folded.reserve(results.size());
    for (const PlainAddress& result : results) results_folded.push_back(fold(result.internal()));
    const bool is_final =
        std::find(results_folded.begin(), results_folded.end(), folded) != results_folded.end();
    if (is_final) self_results_.insert(folded);

    for (std::size_t at = 0; at < results.size(); ++at) {
      PlainAddress& result = results[at];
      if (result.internal().size() > settings_.virtual_alias_address_length_limit) {
        return limit_hit("a result is longer than virtual_alias_address_length_limit");
      }
      if (!is_final && loops(from, results_folded[at])) {
        return limit_hit(fmt::format("<{}> leads back to itself", escaped(result.external())));
      }
      Line line{std::move(result), ancestors_.size()};
      if (at == 0) {
        lines_[i] = std::move(line);
      } else {
        lines_.push_back(std::move(line));
      }
    }
    ancestors_.push_back({std::move(folded), from, is_final});
    return {};
  }

  // Whether `folded`, come to again, would be expanded for ever: on the way from it down to here
  // nothing is its own result, where the second round would end.
  [[nodiscard]] bool loops(std::size_t line, std::string_view folded) const {
    for (; line != kNoAncestor; line = ancestors_[line].ancestor) {
      if (ancestors_[line].is_final) return false;
      if (ancestors_[line].folded == folded) return true;
    }
    return false;
  }

  Step look_up(const PlainAddress& address) {
    if (address.domain.empty()) return {};
    search_.on_step(Answers::Step::aliases, address);
    const std::vector<AddressKey> keys = address_keys(address, settings_.extension);
    const std::string domain = fold(address.domain);
    const Search found = settings_.alias_expansion == AliasExpansion::automatic
                             ? find_before_mailbox(keys, domain)
                             : search_.find_alias(keys, domain);
    switch (found.outcome) {
      case Outcome::found: {
        Result<Addresses> results = alias_results(address, found, settings_);
        if (!results) return {Outcome::failed, {}, std::move(results.error().text)};
        return {Outcome::found, *std::move(results), {}};
      }
      case Outcome::pending:
        search_.prefetch_alias(keys, domain);
        search_.prefetch_value(settings_.virtual_mailbox_maps, keys, domain);
        return {Outcome::pending, {}, {}};
      default:
        return {found.outcome, {}, found.why};
    }
  }

  // The full address and then its form without extension: a mailbox is final, an alias only comes
  // before what is less specific than it.
  Search find_before_mailbox(std::span<const AddressKey> keys, std::string_view domain) {
    while (!keys.empty() && keys.front().is_address()) {
      const auto key = keys.first(1);
      Search mailbox = search_.find_value(settings_.virtual_mailbox_maps, key, domain);
      if (mailbox.outcome == Outcome::found) return {};
      if (mailbox.outcome != Outcome::absent && mailbox.outcome != Outcome::dummy) return mailbox;
      Search alias = search_.find_alias(key, domain);
      if (alias.outcome != Outcome::absent) return alias;
      keys = keys.subspan(1);
    }
    return search_.find_alias(keys, domain);
  }

  const ResolverSettings& settings_;
  TableSearch& search_;
  const PlainAddress& start_;
  std::vector<Line> lines_;
  std::vector<Ancestor> ancestors_;
  std::unordered_set<std::string> self_results_;  // folded: expanded into themselves
};

}  // namespace

std::optional<Result<Addresses>> expand_aliases(const PlainAddress& address,
                                                const ResolverSettings& settings,
                                                TableSearch& search) {
  if (settings.alias_expansion == AliasExpansion::off) return Addresses{address};
  return Expansion(address, settings, search).run();
}

}  // namespace lmtpd::lookup
