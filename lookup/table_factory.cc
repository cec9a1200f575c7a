#include "lookup/table_factory.h"

#include <fmt/format.h>

#include <algorithm>

#include "lmtpd/base/config/values.h"
#include "lmtpd/base/log.h"
#include "lookup/domain_filter.h"
#include "lookup/files/match_list.h"
#include "lookup/files/sql_parameters.h"
#include "lookup/files/table_file.h"
#include "lookup/fold.h"
#include "lookup/inline_table.h"
#include "lookup/pgsql_server.h"
#include "lookup/pgsql_table.h"
#include "lookup/sqlite_table.h"
#include "lookup/static_table.h"
#include "lookup/texthash_table.h"

namespace lmtpd::lookup {
namespace {

// Of tables in the `domain` list of tables in the `domain` list ...
constexpr int kDeepest = 8;

class OneAnswer final : public Asker {
 public:
  void on_answer(std::uint64_t, const Answer& answer) override { answer_ = answer; }
  std::optional<Answer> answer_;
};

}  // namespace

TableFactory::TableFactory(TableContext context) : context_(std::move(context)) {}
TableFactory::~TableFactory() = default;

Result<std::unique_ptr<Table>> TableFactory::make_table(const TableRef& reference) {
  Made made = make(reference, 0);
  if (!made) return tl::unexpected(std::move(made.error()));
  return *std::move(made);
}

Result<void> TableFactory::check(const TableRef& reference) {
  const Made made = make(reference, 0);
  if (!made) return tl::unexpected(made.error());
  OneAnswer asker;
  asker.answer_ = (*made)->check(asker, 0);
  while (!asker.answer_) {
    if (event_base_loop(context_.base, EVLOOP_ONCE) != 0) {
      return fail(Reason::lookup_failed,
                  fmt::format("{}: the event loop failed", escaped(reference.text())));
    }
  }
  const auto* unavailable = std::get_if<Unavailable>(&*asker.answer_);
  if (unavailable != nullptr) return fail(Reason::lookup_failed, unavailable->why);
  return {};
}

TableFactory::Made TableFactory::make(const TableRef& reference, int depth) {
  if (depth > kDeepest) {
    return fail(Reason::lookup_failed, fmt::format("{}: `domain` tables are nested too deeply",
                                                   escaped(reference.text())));
  }
  switch (reference.kind) {
    case TableKind::pgsql:
      return make_pgsql(reference, depth);
    case TableKind::sqlite:
      return make_sqlite(reference, depth);
    case TableKind::static_value:
      return StaticTable::make(reference.text(), reference.name);
    case TableKind::inline_pairs:
      return make_inline_table(reference.text(), reference.name);
    case TableKind::text_file:
      break;
  }
  return make_text_file(reference);
}

TableFactory::Made TableFactory::make_text_file(const TableRef& reference) {
  const auto text = context_.read_file(reference.name);
  if (!text) return tl::unexpected(text.error());
  return make_texthash_table(reference.text(), reference.name, *text);
}

TableFactory::Made TableFactory::make_pgsql(const TableRef& reference, int depth) {
  const auto file = read_parameters(reference);
  if (!file) return tl::unexpected(file.error());
  auto config = parse_sql_config(*file, SqlDialect::postgresql);
  if (!config) return tl::unexpected(config.error());
  const auto server = server_for(pgsql_login(*file));
  if (!server) return file->error("hosts", server.error().text);
  const std::string domain_list = config->domain_list;
  return filtered(*file, domain_list,
                  std::make_unique<PgsqlTable>(reference.text(), *std::move(config), **server),
                  depth);
}

TableFactory::Made TableFactory::make_sqlite(const TableRef& reference, int depth) {
  const auto file = read_parameters(reference);
  if (!file) return tl::unexpected(file.error());
  auto database = file->required_text("dbpath");
  if (!database) return tl::unexpected(database.error());
  if (database->front() != '/') return file->error("dbpath", "no absolute path");
  auto config = parse_sql_config(*file, SqlDialect::sqlite);
  if (!config) return tl::unexpected(config.error());
  const std::string domain_list = config->domain_list;
  return filtered(
      *file, domain_list,
      std::make_unique<SqliteTable>(reference.text(), *std::move(database), *std::move(config)),
      depth);
}

TableFactory::Made TableFactory::filtered(const TableFile& file, const std::string& domain_list,
                                          std::unique_ptr<ConfiguredTable> table, int depth) {
  if (domain_list.empty()) return table;
  const auto list = parse_match_list(domain_list);
  if (!list) return file.error("domain", escaped(list.error()));
  const auto read = with_files_read(*list, context_.read_file);
  if (!read) return file.error("domain", read.error().text);
  std::vector<DomainFilter::Item> items;
  for (const MatchItem& item : *read) {
    items.push_back({item.negated, fold(item.name), nullptr});
    if (item.kind != MatchItem::Kind::table) continue;
    auto made = make(item.table, depth + 1);
    if (!made) return file.error("domain", made.error().text);
    items.back().table = *std::move(made);
  }
  return std::make_unique<DomainFilter>(std::move(items), std::move(table));
}

Result<PgsqlServer*> TableFactory::server_for(const PgsqlLogin& login) {
  for (const auto& server : servers_) {
    if (server->login() == login) return server.get();
  }
  auto hosts = parse_pgsql_hosts(login);
  if (!hosts) return tl::unexpected(hosts.error());
  const PgsqlServer::Options options{context_.db_connect_timeout, context_.db_query_timeout,
                                     context_.prepare_statements, context_.db_retry_interval,
                                     context_.most_recipients};
  servers_.push_back(
      std::make_unique<PgsqlServer>(context_.base, login, *std::move(hosts), options));
  return servers_.back().get();
}

Result<std::vector<PgsqlServer*>> TableFactory::notice_servers(const std::string& notify_hosts) {
  std::vector<PgsqlServer*> found;
  for (const auto& server : servers_) found.push_back(server.get());
  if (notify_hosts.empty()) return found;
  std::vector<PgsqlServer*> others;
  for (const PgsqlServer* server : found) {
    PgsqlLogin login = server->login();
    login.hosts = notify_hosts;
    const auto other = server_for(login);
    if (!other) return fail(Reason::lookup_failed, "notify_hosts: " + other.error().text);
    if (std::find(others.begin(), others.end(), *other) == others.end()) others.push_back(*other);
  }
  return others;
}

Result<TableFile> TableFactory::read_parameters(const TableRef& reference) {
  const auto text = context_.read_file(reference.name);
  if (!text) return tl::unexpected(text.error());
  auto file = TableFile::parse(reference.name, *text, known_parameters(reference.kind));
  if (!file) return file;
  for (const std::string& warning : file->warnings()) log_warning("{}", warning);
  return file;
}

}  // namespace lmtpd::lookup
