#include "lookup/map_query.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "lmtpd/base/address.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/utf8.h"
#include "lookup/alias_results.h"
#include "lookup/fold.h"

namespace lmtpd::lookup {
namespace {

using Outcome = Search::Outcome;
using Reply = std::optional<MapReply>;
using Kind = MapReply::Kind;

// As Postfix has it, that may be the internal form, which no RFC allows.
PlainAddress split(std::string_view key) {
  if (const Result<Address> address = Address::parse(key)) {
    return {address->local_part(), address->domain()};
  }
  const std::size_t at = key.rfind('@');
  return {std::string(key.substr(0, at)), std::string(key.substr(at + 1))};
}

bool is_address(std::string_view key) {
  const std::size_t at = key.rfind('@');
  return at != std::string_view::npos && at > 0 && at + 1 < key.size();
}

// Of a transport table: ".parent" or "*".
bool is_for_many_domains(const AddressKey& key) {
  return key.kind == AddressKey::Kind::domain &&
         (key.external.starts_with('.') || key.external == "*");
}

class MapQuery {
 public:
  MapQuery(std::string_view key, const ResolverSettings& settings, Answers& answers)
      : key_(key), settings_(settings), search_(settings, answers) {
    if (is_address(key)) address_ = split(key);
  }

  Reply alias() {
    if (!address_) return value_of(exact(settings_.virtual_alias_maps));
    const std::vector<AddressKey> keys = address_keys(*address_, settings_.extension);
    const std::string domain = fold(address_->domain);
    const Search found = search_.find_alias(keys, domain);
    if (found.outcome == Outcome::pending) search_.prefetch_alias(keys, domain);
    if (found.outcome != Outcome::found) return nothing(found);
    const Result<std::vector<PlainAddress>> results = alias_results(*address_, found, settings_);
    if (!results) return MapReply{Kind::temporary, results.error().text};
    std::string text;
    for (const PlainAddress& result : *results) {
      text += (text.empty() ? "" : ", ") + result.external();
    }
    return MapReply{Kind::ok, text};
  }
  Reply mailbox() { return value_in(settings_.virtual_mailbox_maps); }
  Reply uid() { return value_in(settings_.virtual_uid_maps); }
  Reply gid() { return value_in(settings_.virtual_gid_maps); }

  Reply domain() {
    if (key_.find('@') != std::string_view::npos) return MapReply{Kind::not_found, {}};
    const std::string domain = fold(key_);
    const Search found = search_.find_domain(settings_.virtual_mailbox_domains, domain);
    if (found.outcome == Outcome::found) return MapReply{Kind::ok, domain};
    return nothing(found);
  }

  Reply transport() {
    if (!address_) return value_of(exact(settings_.transport_maps));
    const std::vector<AddressKey> keys = transport_keys(*address_, settings_.extension);
    Search found = first_of(settings_.transport_maps, keys);
    // Else what is ours since a moment ago goes to where all others' mail goes.
    if (found.outcome == Outcome::found && is_for_many_domains(*found.key)) {
      found = search_.certain(std::move(found));
    }
    // Nor is mail bounced for a row that may be gone.
    const std::optional<Error> doubt = search_.doubt();
    if (doubt && found.outcome == Outcome::found &&
        found.answer->values.front().starts_with("error:")) {
      return MapReply{Kind::temporary, doubt->text};
    }
    return value_of(found);
  }

 private:
  Reply value_in(const Tables& tables) {
    if (!address_) return value_of(exact(tables));
    return value_of(first_of(tables, address_keys(*address_, settings_.extension)));
  }

  Search first_of(const Tables& tables, const std::vector<AddressKey>& keys) {
    const std::string domain = fold(address_->domain);
    Search found = search_.find_value(tables, keys, domain);
    if (found.outcome == Outcome::pending) search_.prefetch_value(tables, keys, domain);
    return found;
  }

  // A bare domain, "@domain", "*": as it is, and a dummy is an answer.
  Search exact(const Tables& tables) {
    DomainList list;
    for (Table* table : tables) list.push_back({false, {}, table});
    return search_.find_domain(list, fold(key_));
  }

  Reply value_of(const Search& found) {
    if (found.outcome != Outcome::found) return nothing(found);
    // Of nothing but dummies, as a domain has it: that it is there is the answer.
    const std::vector<std::string_view> values = values_without_dummy(*found.answer);
    return MapReply{Kind::ok, values.empty() ? "dummy" : fmt::format("{}", fmt::join(values, ","))};
  }

  Reply nothing(const Search& found) {
    switch (found.outcome) {
      case Outcome::pending:
        return std::nullopt;
      case Outcome::failed:
        return MapReply{Kind::temporary, found.why};
      case Outcome::dummy:
        return MapReply{Kind::temporary, "has a dummy row and no other"};
      default:
        if (const auto doubt = search_.doubt()) return MapReply{Kind::temporary, doubt->text};
        return MapReply{Kind::not_found, {}};
    }
  }

  std::string_view key_;
  const ResolverSettings& settings_;
  TableSearch search_;
  std::optional<PlainAddress> address_;
};

struct Map {
  std::string_view name;
  Reply (MapQuery::*query)();
};

constexpr std::array kMaps = {
    Map{"virtual", &MapQuery::alias}, Map{"mailbox", &MapQuery::mailbox},
    Map{"domain", &MapQuery::domain}, Map{"transport", &MapQuery::transport},
    Map{"uid", &MapQuery::uid},       Map{"gid", &MapQuery::gid},
};

}  // namespace

Reply query_map(std::string_view map, std::string_view key, const ResolverSettings& settings,
                Answers& answers) {
  for (const Map& known : kMaps) {
    if (known.name != map) continue;
    // A table of Postfix's own has no such key either.
    if (key.empty() || !valid_utf8(key)) return MapReply{Kind::not_found, {}};
    return (MapQuery(key, settings, answers).*known.query)();
  }
  return MapReply{Kind::permanent, fmt::format("no map \"{}\"", escaped(map, 60))};
}

}  // namespace lmtpd::lookup
