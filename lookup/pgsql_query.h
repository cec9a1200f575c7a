// lookup/pgsql_query.h -- one lookup on its way to PostgreSQL, and the statement it uses.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "lmtpd/base/result.h"
#include "lookup/availability.h"
#include "lookup/sql_statement.h"
#include "lookup/table.h"

namespace lmtpd::lookup {

// A table's query as a server knows it. Its table owns it.
struct PgsqlStatement {
  const SqlStatement* sql;
  std::string table;     // for the log
  std::uint64_t number;  // names it among the server's statements

  bool as_text = false;  // PostgreSQL does not take it with parameters
  bool said_as_text = false;
  unsigned version = 0;           // a new one is a new name on the server
  std::uint64_t prepared_on = 0;  // the connection that knows it
  std::string prepare_failure{};  // what the last PREPARE on it said
};

struct PgsqlQuery;

class PgsqlReceiver {
 public:
  // `values`: every column of every row, in row order; a NULL is empty.
  virtual void on_values(const PgsqlQuery& query, Result<std::vector<std::string>> values) = 0;

 protected:
  ~PgsqlReceiver() = default;
};

struct PgsqlQuery {
  PgsqlStatement* statement;
  PgsqlReceiver* receiver;
  std::string key;
  Asker* asker;
  std::uint64_t id;
  bool only_check = false;  // have the server parse it, no more
  int times_sent = 0;
  std::chrono::steady_clock::time_point deadline{};  // until when it waits for a connection
  Availability::Question question{};                 // the server's, as long as it is under way
};

}  // namespace lmtpd::lookup
