// lookup/site_tables.h -- every table that the configuration names, made and wired for the
// resolver.
#pragma once

#include <event2/event.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/result.h"
#include "lookup/answer_cache.h"
#include "lookup/cache_control.h"
#include "lookup/cache_evictor.h"
#include "lookup/resolver_settings.h"
#include "lookup/table_factory.h"

namespace lmtpd::lookup {

class SiteTables final : public CacheControl {
 public:
  // Reads the tables' files and connects to nothing. Fails with lookup_failed and a text that names
  // file, line and parameter.
  [[nodiscard]] static Result<std::unique_ptr<SiteTables>> make(const Settings& settings,
                                                                event_base* base,
                                                                FileReader read_file);

  // Has every database prepare its query once; what went wrong, one a table. Runs the event loop.
  [[nodiscard]] std::vector<Error> check();

  void forget_address(const Address& address) override;
  void forget_domain(std::string_view domain) override { evictor_.forget_domain(domain); }
  void forget_all() override { evictor_.forget_all(); }
  [[nodiscard]] LookupStatistics statistics() const override;

  // Of auth_password_maps. They are not cached: a password that was changed counts at once, and
  // while the database is away nobody logs in.
  [[nodiscard]] const Tables& password_tables() const { return password_tables_; }

  // Its tables live as long as this does.
  [[nodiscard]] const ResolverSettings& resolver_settings() const { return resolver_; }

 private:
  SiteTables(const Settings& settings, event_base* base, FileReader read_file);

  Result<void> fill(const Settings& settings);
  Result<void> fill_passwords(const Settings& settings);
  Result<void> listen(const Settings& settings);
  // A table that several parameters name is one: one query and one place in the cache for all.
  Result<Table*> table(const TableRef& reference);
  Result<Tables> tables(const TableList& list);
  Result<DomainList> domains(const MatchList& list);

  FileReader read_file_;
  AnswerCache cache_;
  TableFactory factory_;
  CacheEvictor evictor_;
  CachedTable::Shared shared_;
  struct Known {
    TableRef reference;
    std::unique_ptr<Table> table;
  };
  std::map<std::string, Known> tables_;  // by the reference's text
  std::vector<Known> uncached_tables_;
  std::vector<const CachedTable*> cached_tables_;
  Tables password_tables_;
  ResolverSettings resolver_;
};

}  // namespace lmtpd::lookup
