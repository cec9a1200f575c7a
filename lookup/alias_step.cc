#include "lookup/alias_step.h"

#include <span>
#include <utility>

#include "lookup/alias_results.h"
#include "lookup/fold.h"

namespace lmtpd::lookup {
namespace {

using Outcome = Search::Outcome;

// The full address and then its form without extension: a mailbox is final, an alias only comes
// before what is less specific than it.
Search find_before_mailbox(std::span<const AddressKey> keys, std::string_view domain,
                           const ResolverSettings& settings, TableSearch& search) {
  while (!keys.empty() && keys.front().is_address()) {
    const auto key = keys.first(1);
    Search mailbox = search.find_value(settings.virtual_mailbox_maps, key, domain);
    if (mailbox.outcome == Outcome::found) return {};
    if (mailbox.outcome != Outcome::absent && mailbox.outcome != Outcome::dummy) return mailbox;
    Search alias = search.find_alias(key, domain);
    if (alias.outcome != Outcome::absent) return alias;
    keys = keys.subspan(1);
  }
  return search.find_alias(keys, domain);
}

}  // namespace

AliasStep take_alias_step(const PlainAddress& address, const ResolverSettings& settings,
                          TableSearch& search) {
  if (address.domain.empty()) return {};
  search.on_step(Answers::Step::aliases, address);
  const std::vector<AddressKey> keys = address_keys(address, settings.extension);
  const std::string domain = fold(address.domain);
  const Search found = settings.alias_expansion == AliasExpansion::automatic
                           ? find_before_mailbox(keys, domain, settings, search)
                           : search.find_alias(keys, domain);
  switch (found.outcome) {
    case Outcome::found: {
      Result<std::vector<PlainAddress>> results = alias_results(address, found, settings);
      if (!results) return {Outcome::failed, {}, {}, std::move(results.error().text)};
      return {Outcome::found, *std::move(results), found.key->external, {}};
    }
    case Outcome::pending:
      search.prefetch_alias(keys, domain);
      search.prefetch_value(settings.virtual_mailbox_maps, keys, domain);
      return {Outcome::pending, {}, {}, {}};
    default:
      return {found.outcome, {}, {}, found.why};
  }
}

}  // namespace lmtpd::lookup
