// tests/lookup/pgsql_fixture.h -- tables of a PostgreSQL database with the schema of Dovecot's
// wiki.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "lookup/pgsql_handles.h"
#include "lookup/pgsql_server.h"
#include "tests/lookup/asking.h"
#include "tests/lookup/private_postgres.h"

namespace lmtpd::lookup {

using testing_support::PrivatePostgres;

// To `mails`, as the superuser.
[[nodiscard]] inline PgConnPtr connect_to(const PrivatePostgres& postgres) {
  return PgConnPtr(PQconnectdb(fmt::format("host={} port={} user=postgres dbname=mails",
                                           postgres.socket_folder(), postgres.port())
                                   .c_str()));
}

// Nobody can read that table of `mails` as long as this lives.
class LockedTable {
 public:
  LockedTable(const PrivatePostgres& postgres, const std::string& table)
      : holder_(connect_to(postgres)) {
    const PgResultPtr locked(PQexec(holder_.get(), ("BEGIN; LOCK TABLE " + table).c_str()));
    EXPECT_EQ(PQresultStatus(locked.get()), PGRES_COMMAND_OK) << PQerrorMessage(holder_.get());
  }

 private:
  PgConnPtr holder_;
};

class PgsqlTables : public Asking {
 protected:
  static void SetUpTestSuite() {
    PrivatePostgres::instance().make_database("mails");
    PrivatePostgres::instance().sql("mails", "DROP ROLE IF EXISTS mailreader");
    PrivatePostgres::instance().sql("mails", "CREATE ROLE mailreader LOGIN PASSWORD 'secret'");
  }
  void SetUp() override {
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        "  WHERE datname = 'mails' AND pid <> pg_backend_pid();");
    sql("DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public;"
        "GRANT USAGE ON SCHEMA public TO PUBLIC;"
        "CREATE TABLE users (userid VARCHAR(128) PRIMARY KEY, uid INTEGER, gid INTEGER,"
        "  home VARCHAR(128));"
        "INSERT INTO users VALUES ('user@domain.org', 1001, 1001, 'domain.org/mails/user'),"
        "  ('user2@domain.org', 1001, 1001, 'domain.org/mails/user2'),"
        "  ('user@foo.org', 1002, 1002, 'foo.org/mails/user');"
        "GRANT SELECT ON users TO mailreader;");
  }
  void TearDown() override { postgres_.start(); }

  std::vector<std::string> sql(const std::string& text) { return postgres_.sql("mails", text); }

  // As `mailreader` over TCP, from one host or several.
  [[nodiscard]] std::string login(const std::string& hosts = "") const {
    return fmt::format("hosts = {}\nuser = mailreader\npassword = secret\ndbname = mails\n",
                       hosts.empty() ? fmt::format("127.0.0.1:{}", postgres_.port()) : hosts);
  }
  // As the superuser, over the socket.
  [[nodiscard]] std::string superuser() const {
    return fmt::format("hosts = {}:{}\nuser = postgres\ndbname = mails\n",
                       postgres_.socket_folder(), postgres_.port());
  }

  // Ends the connections whose server process is at work on a query, once there is one.
  void terminate_busy() {
    std::vector<std::string> processes;
    ASSERT_TRUE(run_until([&] {
      processes =
          sql("SELECT pid FROM pg_stat_activity"
              "  WHERE application_name = 'lmtpd' AND wait_event IN ('PgSleep', 'advisory')");
      return !processes.empty();
    })) << "no query is under way";
    const std::string them =
        fmt::format(" FROM pg_stat_activity WHERE pid IN ({})", fmt::join(processes, ", "));
    sql("SELECT pg_terminate_backend(pid)" + them);
    ASSERT_TRUE(run_until([&] { return sql("SELECT pid" + them).empty(); }));
  }

  // As the superuser, beside the tables.
  [[nodiscard]] PgConnPtr connect() const {
    return PgConnPtr(
        PQconnectdb(fmt::format("host={} port={} user=postgres dbname=mails application_name=test",
                                postgres_.socket_folder(), postgres_.port())
                        .c_str()));
  }

  // A table file with that text, and the table.
  std::unique_ptr<Table> with(const std::string& text) {
    const std::string path = fmt::format("/t{}.cf", files_.size());
    write(path, text);
    return table("pgsql:" + path);
  }
  std::unique_ptr<Table> homes() {
    return with(login() + "table = users\nselect_field = home\nwhere_field = userid\n");
  }

  // For tables whose time limits may strike a machine that is busy.
  [[nodiscard]] bool is_answered(Table& homes) {
    return run_until(
        [&] { return ask(homes, "user@domain.org") == found({"domain.org/mails/user"}); });
  }

  const PgsqlServer::Statistics& statistics() {
    EXPECT_EQ(factory().servers().size(), 1U);
    return factory().servers().at(0)->statistics();
  }

  PrivatePostgres& postgres_ = PrivatePostgres::instance();
};

inline const Answer kUserHome = found({"domain.org/mails/user"});

}  // namespace lmtpd::lookup
