// lookup/resolver_settings.h -- what the rules of resolution depend on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/owner_policy.h"
#include "lookup/address_keys.h"
#include "lookup/result_parser.h"
#include "lookup/table.h"

namespace lmtpd::lookup {

// The tables of one parameter: each key is asked in all of them before the next key,
// as Postfix does it.
using Tables = std::vector<Table*>;

// One item of a list of domains; the first that matches decides (match_list(3)).
struct DomainItem {
  bool negated = false;
  std::string name;        // folded
  Table* table = nullptr;  // in place of a name: any answer to the bare domain is a match
};
using DomainList = std::vector<DomainItem>;

// The tables outlive the resolver. Names are the parameters' (docs/configuration.md).
struct ResolverSettings {
  Tables virtual_alias_maps;
  Tables virtual_mailbox_maps;
  Tables virtual_uid_maps;
  Tables virtual_gid_maps;
  Tables transport_maps;
  DomainList virtual_mailbox_domains;
  DomainList local_domains;  // myorigin, then mydestination

  ExtensionRules extension;
  bool propagate_unmatched_extensions = true;  // it names `virtual`
  RewriteRules rewrite;
  bool transport_errors = false;
  AliasExpansion alias_expansion = AliasExpansion::automatic;
  RemoteAliasTarget remote_alias_target = RemoteAliasTarget::defer;
  std::uint32_t virtual_alias_recursion_limit = 1000;
  std::uint32_t virtual_alias_expansion_limit = 1000;
  std::uint32_t virtual_alias_address_length_limit = 1000;  // octets
  std::optional<PlainAddress> postmaster_address;
  std::string mailbox_path_template;

  OwnerPolicy owner_policy{100};
};

}  // namespace lmtpd::lookup
