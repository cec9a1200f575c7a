#include "lookup/site_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "lmtpd/base/address.h"
#include "lookup/cached_table.h"
#include "lookup/files/match_list.h"
#include "lookup/fold.h"

namespace lmtpd::lookup {
namespace {

// What is in memory anyway needs no cache.
bool is_worth_caching(const TableRef& reference) {
  return reference.kind == TableKind::pgsql || reference.kind == TableKind::sqlite;
}

AnswerCache::Limits cache_limits(const Settings& settings) {
  return {settings.cache_size, settings.cache_memory, settings.cache_ttl,
          settings.cache_negative_ttl, settings.cache_stale_ttl};
}

Result<std::optional<PlainAddress>> postmaster_address(const Settings& settings) {
  if (settings.postmaster_address.empty()) return std::nullopt;
  const Result<Address> address = Address::parse(settings.postmaster_address);
  if (!address) return fail(Reason::lookup_failed, "postmaster_address: " + address.error().text);
  if (address->domain().empty()) {
    return fail(Reason::lookup_failed, "postmaster_address: it needs a domain");
  }
  return PlainAddress{address->local_part(), address->domain()};
}

}  // namespace

SiteTables::SiteTables(const Settings& settings, event_base* base, FileReader read_file)
    : read_file_(std::move(read_file)),
      cache_(cache_limits(settings), [] { return Clock::now(); }),
      factory_({.base = base,
                .read_file = read_file_,
                .db_connect_timeout = settings.db_connect_timeout,
                .db_query_timeout = settings.db_query_timeout,
                .prepare_statements = settings.db_prepared_statements,
                .most_recipients = settings.frontend_processes * kResolveWindow}),
      evictor_(base, cache_),
      shared_{cache_, evictor_.recent_changes()} {}

Result<std::unique_ptr<SiteTables>> SiteTables::make(const Settings& settings, event_base* base,
                                                     FileReader read_file) {
  std::unique_ptr<SiteTables> site(new SiteTables(settings, base, std::move(read_file)));
  if (Result<void> filled = site->fill(settings); !filled) {
    return tl::unexpected(std::move(filled.error()));
  }
  if (Result<void> filled = site->fill_passwords(settings); !filled) {
    return tl::unexpected(std::move(filled.error()));
  }
  if (Result<void> listening = site->listen(settings); !listening) {
    return tl::unexpected(std::move(listening.error()));
  }
  return site;
}

// One feed for each of the tables' logins.
Result<void> SiteTables::listen(const Settings& settings) {
  if (settings.notify_hosts == "none") return {};
  const Result<std::vector<PgsqlServer*>> provers = factory_.notice_servers(settings.notify_hosts);
  if (!provers) return tl::unexpected(provers.error());
  // The tables may be read from a host that is behind the one where rows change.
  const bool has_several = std::any_of(factory_.servers().begin(), factory_.servers().end(),
                                       [](auto& server) { return server->hosts().size() > 1; });
  if (!settings.notify_hosts.empty() || has_several) evictor_.recent_changes().expect_lag();
  for (PgsqlServer* prover : *provers) {
    evictor_.listen(prover->hosts(), settings.db_connect_timeout, *prover);
  }
  return {};
}

void SiteTables::forget_address(const Address& address) {
  for (const AddressKey& key :
       address_keys({address.local_part(), address.domain()}, resolver_.extension)) {
    for (const std::string& form : {key.external, key.internal}) {
      if (!form.empty()) evictor_.forget_key(form);
    }
  }
}

LookupStatistics SiteTables::statistics() const {
  const AnswerCache::Statistics& cache = cache_.statistics();
  LookupStatistics sum{.cache_entries = cache_.size(),
                       .cache_octets = cache_.octets(),
                       .cache_hits = cache.hits,
                       .cache_misses = cache.misses,
                       .cache_stale_hits = cache.stale_hits,
                       .cache_driven_out = cache.driven_out,
                       .cache_flushes = evictor_.statistics().flushes,
                       .notices = evictor_.statistics().notices,
                       .notices_arrive = evictor_.is_listening() ? 1U : 0U};
  for (const CachedTable* table : cached_tables_) sum.database_failures += table->failures();
  for (const auto& server : factory_.servers()) {
    sum.database_connections += server->statistics().connections;
    sum.database_queries += server->statistics().queries;
    sum.database_bursts += server->statistics().bursts;
  }
  return sum;
}

std::vector<Error> SiteTables::check() {
  std::vector<Error> errors;
  for (const auto& [text, known] : tables_) {
    if (Result<void> checked = factory_.check(known.reference); !checked) {
      errors.push_back(std::move(checked.error()));
    }
  }
  for (const Known& known : uncached_tables_) {
    if (Result<void> checked = factory_.check(known.reference); !checked) {
      errors.push_back(std::move(checked.error()));
    }
  }
  return errors;
}

Result<void> SiteTables::fill(const Settings& settings) {
  const std::pair<const TableList*, Tables*> parameters[] = {
      {&settings.virtual_alias_maps, &resolver_.virtual_alias_maps},
      {&settings.virtual_mailbox_maps, &resolver_.virtual_mailbox_maps},
      {&settings.virtual_uid_maps, &resolver_.virtual_uid_maps},
      {&settings.virtual_gid_maps, &resolver_.virtual_gid_maps},
      {&settings.transport_maps, &resolver_.transport_maps},
  };
  for (const auto& [list, made] : parameters) {
    Result<Tables> tables_made = tables(*list);
    if (!tables_made) return tl::unexpected(std::move(tables_made.error()));
    *made = *std::move(tables_made);
  }
  Result<DomainList> mailbox_domains = domains(settings.virtual_mailbox_domains);
  if (!mailbox_domains) return tl::unexpected(std::move(mailbox_domains.error()));
  resolver_.virtual_mailbox_domains = *std::move(mailbox_domains);
  Result<DomainList> destinations = domains(settings.mydestination);
  if (!destinations) return tl::unexpected(std::move(destinations.error()));
  resolver_.local_domains = *std::move(destinations);
  resolver_.local_domains.insert(resolver_.local_domains.begin(),
                                 DomainItem{false, fold(settings.myorigin), nullptr});
  Result<std::optional<PlainAddress>> postmaster = postmaster_address(settings);
  if (!postmaster) return tl::unexpected(std::move(postmaster.error()));
  resolver_.postmaster_address = *std::move(postmaster);

  const std::vector<std::string>& propagates = settings.propagate_unmatched_extensions;
  resolver_.propagate_unmatched_extensions =
      std::find(propagates.begin(), propagates.end(), "virtual") != propagates.end();
  resolver_.extension = {settings.recipient_delimiter, settings.owner_request_special};
  resolver_.rewrite = {settings.append_at_myorigin ? settings.myorigin : "",
                       settings.append_dot_mydomain ? settings.mydomain : "",
                       settings.allow_percent_hack, settings.myhostname};
  resolver_.transport_errors = settings.transport_errors;
  resolver_.alias_expansion = settings.alias_expansion;
  resolver_.remote_alias_target = settings.remote_alias_target;
  resolver_.virtual_alias_recursion_limit = settings.virtual_alias_recursion_limit;
  resolver_.virtual_alias_expansion_limit = settings.virtual_alias_expansion_limit;
  resolver_.virtual_alias_address_length_limit = settings.virtual_alias_address_length_limit;
  resolver_.mailbox_path_template = settings.mailbox_path_template;
  resolver_.owner_policy = OwnerPolicy::of(settings);
  return {};
}

Result<void> SiteTables::fill_passwords(const Settings& settings) {
  for (const TableRef& reference : settings.auth_password_maps) {
    Result<std::unique_ptr<Table>> made = factory_.make_table(reference);
    if (!made) return tl::unexpected(std::move(made.error()));
    password_tables_.push_back(made->get());
    uncached_tables_.push_back({reference, *std::move(made)});
  }
  return {};
}

Result<Table*> SiteTables::table(const TableRef& reference) {
  const auto [known, fresh] = tables_.try_emplace(reference.text(), Known{reference, nullptr});
  std::unique_ptr<Table>& table = known->second.table;
  if (fresh) {
    Result<std::unique_ptr<Table>> made = factory_.make_table(reference);
    if (!made) return tl::unexpected(std::move(made.error()));
    table = *std::move(made);
    if (is_worth_caching(reference)) {
      const auto number = static_cast<std::uint32_t>(tables_.size());
      auto cached = std::make_unique<CachedTable>(std::move(table), shared_, number);
      evictor_.add(*cached);
      cached_tables_.push_back(cached.get());
      table = std::move(cached);
    }
  }
  return table.get();
}

Result<Tables> SiteTables::tables(const TableList& list) {
  Tables made;
  for (const TableRef& reference : list) {
    const Result<Table*> one = table(reference);
    if (!one) return tl::unexpected(one.error());
    made.push_back(*one);
  }
  return made;
}

Result<DomainList> SiteTables::domains(const MatchList& list) {
  const Result<MatchList> read = with_files_read(list, read_file_);
  if (!read) return tl::unexpected(read.error());
  DomainList made;
  for (const MatchItem& item : *read) {
    made.push_back({item.negated, fold(item.name), nullptr});
    if (item.kind != MatchItem::Kind::table) continue;
    const Result<Table*> one = table(item.table);
    if (!one) return tl::unexpected(one.error());
    made.back().table = *one;
  }
  return made;
}

}  // namespace lmtpd::lookup
