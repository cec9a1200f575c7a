#include "lookup/table_factory.h"

#include <fmt/format.h>

#include <algorithm>

#include "lmtpd/base/log.h"
#include "lookup/domain_filter.h"
#include "lookup/files/match_list.h"
#include "lookup/files/sql_parameters.h"
#include "lookup/files/table_file.h"
#include "lookup/files/table_reference.h"
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

Result<std::unique_ptr<Table>> TableFactory::make_table(std::string_view reference) {
  Made made = make(reference, 0);
  if (!made) return tl::unexpected(std::move(made.error()));
  return *std::move(made);
}

Result<void> TableFactory::check(std::string_view reference) {
  const Made made = make(reference, 0);
  if (!made) return tl::unexpected(made.error());
  OneAnswer asker;
  asker.answer_ = (*made)->check(asker, 0);
  while (!asker.answer_) {
    if (event_base_loop(context_.base, EVLOOP_ONCE) != 0) {
      return fail(Reason::lookup_failed,
                  fmt::format("{}: the event loop failed", escaped(reference)));
    }
  }
  const auto* unavailable = std::get_if<Unavailable>(&*asker.answer_);
  if (unavailable != nullptr) return fail(Reason::lookup_failed, unavailable->why);
  return {};
}

TableFactory::Made TableFactory::make(std::string_view reference, int depth) {
  const auto parsed = parse_table_reference(reference);
  if (!parsed) return tl::unexpected(parsed.error());
  if (depth > kDeepest) {
    return fail(Reason::lookup_failed,
                fmt::format("{}: `domain` tables are nested too deeply", escaped(reference)));
  }
  std::string name(reference);
  switch (parsed->type) {
    case TableType::pgsql:
      return make_pgsql(std::move(name), parsed->name, depth);
    case TableType::sqlite:
      return make_sqlite(std::move(name), parsed->name, depth);
    case TableType::static_value:
      return StaticTable::make(std::move(name), parsed->name);
    case TableType::inline_pairs:
      return make_inline_table(std::move(name), parsed->name);
    case TableType::text_file:
      break;
  }
  return make_text_file(std::move(name), parsed->name);
}

TableFactory::Made TableFactory::make_text_file(std::string name, const std::string& path) {
  const auto text = context_.read_file(path);
  if (!text) return tl::unexpected(text.error());
  return make_texthash_table(std::move(name), path, *text);
}

TableFactory::Made TableFactory::make_pgsql(std::string name, const std::string& path, int depth) {
  const auto file = read_parameters(path, kPgsqlParameters);
  if (!file) return tl::unexpected(file.error());
  auto config = parse_sql_config(*file, SqlDialect::postgresql);
  if (!config) return tl::unexpected(config.error());
  const auto server = server_for(*file);
  if (!server) return tl::unexpected(server.error());
  const std::string domain_list = config->domain_list;
  return filtered(*file, domain_list,
                  std::make_unique<PgsqlTable>(std::move(name), *std::move(config), **server),
                  depth);
}

TableFactory::Made TableFactory::make_sqlite(std::string name, const std::string& path, int depth) {
  const auto file = read_parameters(path, kSqliteParameters);
  if (!file) return tl::unexpected(file.error());
  auto database = file->required_text("dbpath");
  if (!database) return tl::unexpected(database.error());
  if (database->front() != '/') return file->error("dbpath", "no absolute path");
  auto config = parse_sql_config(*file, SqlDialect::sqlite);
  if (!config) return tl::unexpected(config.error());
  const std::string domain_list = config->domain_list;
  return filtered(
      *file, domain_list,
      std::make_unique<SqliteTable>(std::move(name), *std::move(database), *std::move(config)),
      depth);
}

TableFactory::Made TableFactory::filtered(const TableFile& file, const std::string& domain_list,
                                          std::unique_ptr<ConfiguredTable> table, int depth) {
  if (domain_list.empty()) return table;
  const auto parsed = parse_match_list(domain_list, context_.read_file);
  if (!parsed) return file.error("domain", parsed.error().text);
  std::vector<DomainFilter::Item> items;
  for (const MatchItem& item : *parsed) {
    items.push_back({item.negated, "", nullptr});
    if (!item.is_table) {
      items.back().domain = fold(item.text);
      continue;
    }
    auto made = make(item.text, depth + 1);
    if (!made) return file.error("domain", made.error().text);
    items.back().table = *std::move(made);
  }
  return std::make_unique<DomainFilter>(std::move(items), std::move(table));
}

Result<PgsqlServer*> TableFactory::server_for(const TableFile& file) {
  PgsqlLogin login{file.text("hosts", "localhost"), file.text("user"), file.text("password"),
                   file.text("dbname"), file.text("encoding", "UTF8")};
  for (const auto& server : servers_) {
    if (server->login() == login) return server.get();
  }
  auto hosts = parse_pgsql_hosts(login);
  if (!hosts) return file.error("hosts", hosts.error().text);
  servers_.push_back(std::make_unique<PgsqlServer>(context_.base, std::move(login),
                                                   *std::move(hosts), context_.db_connect_timeout,
                                                   context_.db_query_timeout));
  return servers_.back().get();
}

Result<TableFile> TableFactory::read_parameters(const std::string& path,
                                                std::span<const std::string_view> known) {
  const auto text = context_.read_file(path);
  if (!text) return tl::unexpected(text.error());
  auto file = TableFile::parse(path, *text, known);
  if (!file) return file;
  for (const std::string& warning : file->warnings()) log_warning("{}", warning);
  return file;
}

}  // namespace lmtpd::lookup
