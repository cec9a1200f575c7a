#include "lookup/pgsql_table.h"

#include <fmt/format.h>

namespace lmtpd::lookup {

PgsqlTable::PgsqlTable(std::string name, SqlConfig config, PgsqlServer& server)
    : ConfiguredTable(std::move(name)),
      config_(std::move(config)),
      server_(server),
      statement_{&config_.statement, this->name(), server.next_statement(),
                 !config_.statement.can_prepare()} {}

PgsqlTable::~PgsqlTable() { server_.forget(statement_); }

std::optional<Answer> PgsqlTable::lookup(std::string_view key, Asker& asker, std::uint64_t id) {
  if (!config_.asks_for(key)) return Absent{};
  return ask({&statement_, this, std::string(key), &asker, id});
}

std::optional<Answer> PgsqlTable::check(Asker& asker, std::uint64_t id) {
  return ask({&statement_, this, "", &asker, id, true});
}

std::optional<Answer> PgsqlTable::ask(PgsqlQuery query) {
  const auto refused = server_.ask(std::move(query));
  if (refused) return unavailable(*refused);
  return std::nullopt;
}

void PgsqlTable::on_values(const PgsqlQuery& query, Result<std::vector<std::string>> values) {
  if (!values) return query.asker->on_answer(query.id, unavailable(values.error().text));
  empty_results_.look(name(), query.key, *values);
  Answer answer = config_.answer(query.key, *values);
  if (const auto* failed = std::get_if<Unavailable>(&answer)) {
    answer = unavailable(failed->why, failed->answered);
  }
  query.asker->on_answer(query.id, answer);
}

Unavailable PgsqlTable::unavailable(const std::string& why, bool answered) const {
  return Unavailable{fmt::format("{}: {}", name(), why), answered};
}

}  // namespace lmtpd::lookup
