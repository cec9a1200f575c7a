// lookup/pgsql_table.h -- pgsql_table(5): answers from PostgreSQL, asynchronously.
//
// Keys that the query is not sent for are Absent at once; while the database is known to be away
// everything else is Unavailable at once. An error that the server reports makes that one answer
// Unavailable.
#pragma once

#include <string>
#include <vector>

#include "lookup/configured_table.h"
#include "lookup/empty_result_log.h"
#include "lookup/pgsql_query.h"
#include "lookup/pgsql_server.h"
#include "lookup/sql_config.h"

namespace lmtpd::lookup {

class PgsqlTable final : public ConfiguredTable, private PgsqlReceiver {
 public:
  // `server` outlives the table.
  PgsqlTable(std::string name, SqlConfig config, PgsqlServer& server);
  ~PgsqlTable() override;
  PgsqlTable(const PgsqlTable&) = delete;
  PgsqlTable& operator=(const PgsqlTable&) = delete;

  std::optional<Answer> lookup(std::string_view key, Asker& asker, std::uint64_t id) override;
  std::optional<Answer> check(Asker& asker, std::uint64_t id) override;
  [[nodiscard]] std::vector<Availability*> databases() const override {
    return {&server_.availability()};
  }

 private:
  void on_values(const PgsqlQuery& query, Result<std::vector<std::string>> values) override;
  std::optional<Answer> ask(PgsqlQuery query);
  [[nodiscard]] Unavailable unavailable(const std::string& why, bool answered = false) const;

  SqlConfig config_;
  PgsqlServer& server_;
  PgsqlStatement statement_;
  EmptyResultLog empty_results_;
};

}  // namespace lmtpd::lookup
