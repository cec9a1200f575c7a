// lookup/expansion.h -- from an address to the addresses that its aliases lead to (virtual(5)).
//
// As cleanup(8) walks virtual_alias_maps, with alias_expansion's choice of where a mailbox ends the
// walk. What Postfix would go round in until it meets a limit fails at the first round.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "lmtpd/base/result.h"
#include "lookup/address_keys.h"
#include "lookup/look_ahead.h"
#include "lookup/resolver_settings.h"
#include "lookup/table_search.h"

namespace lmtpd::lookup {

class Expansion {
 public:
  // Goes on from `search`. The settings outlive it.
  Expansion(const PlainAddress& address, const ResolverSettings& settings,
            const TableSearch& search);

  // nullopt: answers are missing; to be run again when they are there, which goes on where it
  // stopped. At least one address; it may be `address` itself, and the same one may come more than
  // once. Fails, once and for all, with lookup_failed or alias_limit.
  [[nodiscard]] std::optional<Result<std::vector<PlainAddress>>> run();

  // After that, for the questions that follow.
  [[nodiscard]] const TableSearch& search() const { return search_; }
  // After that: the key of the alias row that `address` has, which may be that of many others;
  // empty: it has none.
  [[nodiscard]] const std::string& row() const { return row_; }

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

  [[nodiscard]] tl::unexpected<Error> limit_hit(std::string_view what) const;
  std::optional<Result<void>> expand_line();
  Result<void> take_results(std::string folded, std::vector<PlainAddress> results);
  [[nodiscard]] bool loops(std::size_t line, std::string_view folded) const;
  void look_ahead();

  const ResolverSettings* settings_;
  TableSearch search_;
  PlainAddress start_;
  std::string row_;
  std::vector<Line> lines_;
  std::vector<Ancestor> ancestors_;
  std::unordered_set<std::string> self_results_;  // folded: expanded into themselves
  std::size_t at_ = 0;                            // the line that is being expanded
  std::uint32_t steps_ = 0;                       // of it
  LookAhead ahead_;
  std::size_t ahead_of_ = 0;  // the lines before that one are the look-ahead's, or done
};

}  // namespace lmtpd::lookup
