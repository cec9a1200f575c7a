#include "lookup/look_ahead.h"

#include <utility>

#include "lookup/alias_step.h"
#include "lookup/fold.h"

namespace lmtpd::lookup {

void LookAhead::add(PlainAddress address) {
  if (seen_.size() >= kMostAddresses) return;
  if (seen_.insert(fold(address.internal())).second) open_.push_back(std::move(address));
}

void LookAhead::go_on(TableSearch search) {
  std::vector<PlainAddress> waiting;
  while (!open_.empty()) {
    for (PlainAddress& address : std::exchange(open_, {})) {
      AliasStep step = take_alias_step(address, *settings_, search);
      if (step.outcome == Search::Outcome::pending) waiting.push_back(std::move(address));
      for (PlainAddress& result : step.results) add(std::move(result));
    }
  }
  open_ = std::move(waiting);
}

}  // namespace lmtpd::lookup
