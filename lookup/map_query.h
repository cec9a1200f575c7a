// lookup/map_query.h -- what Postfix asks of the maps that are served to it (socketmap_table(5)).
//
// Postfix folds no key of such a map, and asks for the full address only: here it is folded,
// stripped of its extension, and tried as catch-all and in parent domains, as Postfix would with a
// table of another type (socketmap_table(5)). What an extension would be put on carries it already.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lookup/resolver_settings.h"
#include "lookup/table_search.h"

namespace lmtpd::lookup {

struct MapReply {
  enum class Kind { ok, not_found, temporary, permanent };
  Kind kind;
  std::string text;
  bool operator==(const MapReply&) const = default;
};

// The maps:
//   virtual    virtual_alias_maps: the addresses that an alias leads to; no recursion
//   mailbox    virtual_mailbox_maps: a mailbox's value; of a bare domain any value it has
//   domain     virtual_mailbox_domains: the domain itself
//   transport  transport_maps
//   uid, gid   virtual_uid_maps, virtual_gid_maps
// Any other name is a permanent error. nullopt: answers are missing.
[[nodiscard]] std::optional<MapReply> query_map(std::string_view map, std::string_view key,
                                                const ResolverSettings& settings, Answers& answers);

}  // namespace lmtpd::lookup
