// What no table shows of its connection.
#include "lookup/pgsql_pipeline.h"

#include <poll.h>

#include "tests/lookup/pgsql_fixture.h"

namespace lmtpd::lookup {
namespace {

using namespace std::chrono_literals;

class NothingAsked final : public PgsqlPipeline::Owner {
 public:
  void on_values(PgsqlQuery, Result<std::vector<std::string>>) override { ADD_FAILURE(); }
  void on_send_again(PgsqlQuery) override { ADD_FAILURE(); }
  void on_lost(std::vector<PgsqlQuery>, std::string why, bool) override { ADD_FAILURE() << why; }
};

// As a pooler in transaction mode passes on what another client has said LISTEN for.
TEST_F(PgsqlTables, KeepNoNoticesThatComeTheirWay) {
  PgConnPtr made = connect_to(postgres_);
  const PgResultPtr listens(PQexec(made.get(), "LISTEN lmtpd"));
  ASSERT_EQ(PQresultStatus(listens.get()), PGRES_COMMAND_OK);
  PGconn* const connection = made.get();
  NothingAsked owner;
  const PgsqlPipeline pipeline(base_.get(), std::move(made), 1, true, 10s, owner);
  sql("SELECT pg_notify('lmtpd', 'user@domain.org')");
  pollfd arrived{PQsocket(connection), POLLIN, 0};
  ASSERT_EQ(poll(&arrived, 1, 10'000), 1);
  event_base_loop(base_.get(), EVLOOP_NONBLOCK);
  EXPECT_EQ(poll(&arrived, 1, 0), 0) << "not read";
  EXPECT_EQ(PgNotifyPtr(PQnotifies(connection)), nullptr);
}

}  // namespace
}  // namespace lmtpd::lookup
