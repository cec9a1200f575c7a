// How PostgreSQL tables share, lose and regain their connection.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "lmtpd/base/unique_fd.h"
#include "tests/lookup/holding_proxy.h"
#include "tests/lookup/pgsql_fixture.h"

namespace lmtpd::lookup {
namespace {

using std::chrono::steady_clock;
using testing::HasSubstr;
using namespace std::chrono_literals;
using testing_support::HoldingProxy;

// Takes connections and never says a word.
class SilentHost {
 public:
  SilentHost() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_.get(), 8), 0);
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  [[nodiscard]] std::string host() const { return fmt::format("127.0.0.1:{}", port_); }
  // Ends a connection, if there is one.
  [[nodiscard]] bool hang_up() const {
    return static_cast<bool>(UniqueFd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  }

 private:
  UniqueFd listener_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  int port_ = 0;
};

TEST_F(PgsqlTables, ShareOneConnection) {
  const auto t = homes();
  const auto uids = with(login() + "table=users\nselect_field=uid\nwhere_field=userid\n");
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
  EXPECT_EQ(ask(*uids, "user@domain.org"), found({"1001"}));
  EXPECT_EQ(sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lmtpd'"),
            std::vector<std::string>{"1"});
  // Another password, another connection, though the server takes both.
  const auto other = with(superuser() + "query = SELECT '%s'\n");
  EXPECT_EQ(ask(*other, "k"), found({"k"}));
  EXPECT_EQ(sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lmtpd'"),
            std::vector<std::string>{"2"});
}

TEST_F(PgsqlTables, SendAllOfOneTurnBeforeTheFirstAnswerIsRead) {
  HoldingProxy proxy(postgres_.port());
  const auto t = with(login(fmt::format("127.0.0.1:{}", proxy.port())) +
                      "table = users\nselect_field = home\nwhere_field = userid\n");
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
  const auto bursts = statistics().bursts;
  std::vector<std::string> keys;
  for (int i = 0; i < 50; ++i) keys.push_back(i % 2 == 0 ? "user@domain.org" : "nobody@domain.org");
  proxy.hold_until_syncs(50);
  const auto answers = ask_all(*t, keys);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(answers[i], i % 2 == 0 ? kUserHome : Answer(Absent{})) << i;
  }
  EXPECT_EQ(statistics().bursts, bursts + 1);
  EXPECT_LE(proxy.arrivals(), 5) << "corked, not a segment a statement";
}

// As many as the recipients of a frontend ask for who have an extension, a quoted local part and no
// row.
TEST_F(PgsqlTables, AreAskedForAllThatARecipientsWindowNeeds) {
  HoldingProxy proxy(postgres_.port());
  const auto t = with(login(fmt::format("127.0.0.1:{}", proxy.port())) + "query = SELECT '%s'\n");
  EXPECT_EQ(ask(*t, "k"), found({"k"}));
  const auto queries = statistics().queries;
  proxy.hold_until_syncs(PgsqlServer::kMostInFlight);
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < kResolveWindow * 7; ++i) keys.push_back(fmt::format("user{}", i));
  Answers answers;
  for (std::size_t i = 0; i < keys.size(); ++i) ASSERT_FALSE(t->lookup(keys[i], answers, i));
  event_base_loop(base_.get(), EVLOOP_NONBLOCK);
  EXPECT_EQ(statistics().queries, queries + PgsqlServer::kMostInFlight) << "on the way at a time";
  wait_for(answers, keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) ASSERT_EQ(answers.by_id.at(i), found({keys[i]}));
  EXPECT_EQ(statistics().queries, queries + keys.size());
  EXPECT_LT(statistics().bursts, 2 * keys.size() / PgsqlServer::kMostInFlight + 10);
}

TEST_F(PgsqlTables, AreNotAskedForMore) {
  most_recipients_ = 2;
  const auto t = with(superuser() + "query = SELECT home FROM users WHERE userid = '%s'\n");
  const auto other = with(superuser() + "query = SELECT uid FROM users WHERE userid = '%s'\n");
  const LockedTable locked(postgres_, "users");
  Answers answers;
  const std::size_t most = 2 * 2 * PgsqlServer::kMostKeys;
  for (std::size_t i = 0; i < most; ++i) {
    EXPECT_FALSE((i % 2 == 0 ? t : other)->lookup("user@domain.org", answers, i));
  }
  EXPECT_THAT(why(ask(*t, "user@domain.org")), HasSubstr("40 lookups wait for the database"));
}

TEST_F(PgsqlTables, KnowTogetherWhetherTheirDatabaseAnswers) {
  HoldingProxy proxy(postgres_.port());
  const std::string through = login(fmt::format("127.0.0.1:{}", proxy.port()));
  const auto good = with(through + "table = users\nselect_field = home\nwhere_field = userid\n");
  const auto bad = with(through + "query = SELECT 1 FROM missing WHERE '%s' <> ''\n");
  const Availability& database = *good->databases().at(0);
  EXPECT_EQ(bad->databases().at(0), &database);
  EXPECT_EQ(ask(*good, "user@domain.org"), kUserHome);
  EXPECT_NE(why(ask(*bad, "k")), "(an answer)");
  EXPECT_FALSE(database.old_answers_will_do()) << "it answered that query, too";

  proxy.hold_until_syncs(2);
  Answers answers;
  EXPECT_FALSE(good->lookup("user@domain.org", answers, 0));
  while (!database.is_away()) event_base_loop(base_.get(), EVLOOP_ONCE);
  EXPECT_FALSE(good->lookup("user2@domain.org", answers, 1));
  wait_for(answers, 2);
  EXPECT_FALSE(database.is_away());
  EXPECT_TRUE(database.old_answers_will_do()) << "for a moment";
}

TEST_F(PgsqlTables, PrepareOnceAConnection) {
  const auto t = with(superuser() + "query = SELECT home FROM users WHERE userid = '%s'\n");
  const std::vector<std::string> keys(10, "user@domain.org");
  for (const Answer& answer : ask_all(*t, keys)) EXPECT_EQ(answer, kUserHome);
  for (const Answer& answer : ask_all(*t, keys)) EXPECT_EQ(answer, kUserHome);
  EXPECT_EQ(ask(*with(superuser() + "query = SELECT count(*) FROM pg_prepared_statements "
                                    "WHERE statement LIKE 'SELECT home%%'\n"),
                "k"),
            found({"1"}));
}

TEST_F(PgsqlTables, PrepareAnewOnANewConnection) {
  const auto t = with(superuser() + "query = SELECT home FROM users WHERE userid = '%s'\n");
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
  sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lmtpd'");
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
  EXPECT_EQ(statistics().connections, 2U);
  EXPECT_EQ(ask(*with(superuser() + "query = SELECT count(*) FROM pg_prepared_statements "
                                    "WHERE statement LIKE 'SELECT home%%'\n"),
                "k"),
            found({"1"}));
}

TEST_F(PgsqlTables, LeaveTheNeighboursOfAFailedStatementAlone) {
  const auto good = homes();
  const auto bad = with(login() + "query = SELECT 1 FROM missing WHERE '%s' <> ''\n");
  const auto divides = with(login() + "query = SELECT 12 / length(substr('%s', 2))\n");
  Answers answers;
  for (std::uint64_t id = 0; id < 12; id += 4) {
    EXPECT_FALSE(good->lookup("user@domain.org", answers, id));
    EXPECT_FALSE(bad->lookup("k", answers, id + 1));
    EXPECT_FALSE(divides->lookup("k", answers, id + 2));
    EXPECT_FALSE(divides->lookup("abcd", answers, id + 3));
  }
  wait_for(answers, 12);
  for (std::uint64_t id = 0; id < 12; id += 4) {
    EXPECT_EQ(answers.by_id.at(id), kUserHome);
    EXPECT_THAT(why(answers.by_id.at(id + 1)), HasSubstr("\"missing\" does not exist"));
    EXPECT_THAT(why(answers.by_id.at(id + 2)), HasSubstr("division by zero"));
    EXPECT_EQ(answers.by_id.at(id + 3), found({"4"}));
  }
  EXPECT_EQ(statistics().bursts, 1U);
}

TEST_F(PgsqlTables, AreUnavailableWhileTheServerIsDownAndRecoverByThemselves) {
  const auto t = homes();
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
  postgres_.stop();
  EXPECT_EQ(why(ask(*t, "user@domain.org")),
            fmt::format("pgsql:/t0.cf: connection to server at \"127.0.0.1\", port {} failed: "
                        "Connection refused",
                        postgres_.port()));
  // While it is known to be away nobody waits.
  Answers answers;
  const auto at_once = t->lookup("user@domain.org", answers, 1);
  ASSERT_TRUE(at_once);
  EXPECT_THAT(why(*at_once), HasSubstr("Connection refused"));
  EXPECT_EQ(t->lookup("", answers, 2), std::optional<Answer>(Absent{}));
  run_loop_for(2s);
  postgres_.start();
  EXPECT_TRUE(is_answered(*t));
}

TEST_F(PgsqlTables, ReconnectBeforeTheNextLookup) {
  const auto t = homes();
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
  sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lmtpd'");
  EXPECT_TRUE(run_until([&] { return statistics().connections == 2; }));
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
}

TEST_F(PgsqlTables, SendAgainWhatAConnectionTookWithIt) {
  query_timeout_ = kPatience;
  const auto t = with(login() +
                      "query = SELECT pg_advisory_lock_shared(1)::text || home FROM users"
                      " WHERE userid = '%s'\n");
  const PgConnPtr holder = connect();
  PgResultPtr(PQexec(holder.get(), "SELECT pg_advisory_lock(1)"));
  Answers answers;
  EXPECT_FALSE(t->lookup("user@domain.org", answers, 1));
  EXPECT_FALSE(t->lookup("user@foo.org", answers, 2));
  terminate_busy();
  PgResultPtr(PQexec(holder.get(), "SELECT pg_advisory_unlock(1)"));
  wait_for(answers, 2);
  EXPECT_EQ(answers.by_id.at(1), kUserHome);
  EXPECT_EQ(answers.by_id.at(2), found({"foo.org/mails/user"}));
  EXPECT_EQ(statistics().connections, 2U);
}

// Sending fails before the answer is read, and libpq takes it for none of a query.
TEST_F(PgsqlTables, AskAgainWhatWasAnsweredWhenSendingFailed) {
  const auto t = with(superuser() + "query = SELECT home FROM users WHERE userid = '%s'\n");
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
  Answers answers;
  EXPECT_FALSE(t->lookup("user2@domain.org", answers, 0));
  event_base_loop(base_.get(), EVLOOP_NONBLOCK);
  const auto backends = [&](const char* which) {
    return sql(std::string(which) + " FROM pg_stat_activity WHERE application_name = 'lmtpd'");
  };
  // Without the loop, which would read the answer.
  const auto wait_until_states_are = [&](const std::vector<std::string>& states) {
    const auto deadline = steady_clock::now() + kPatience;
    while (backends("SELECT state") != states) ASSERT_LT(steady_clock::now(), deadline);
  };
  wait_until_states_are({"idle"});
  EXPECT_EQ(backends("SELECT pg_terminate_backend(pid)").size(), 1U);
  wait_until_states_are({});
  for (std::uint64_t i = 1; i <= 10; ++i) EXPECT_FALSE(t->lookup("user@domain.org", answers, i));
  wait_for(answers, 11);
  EXPECT_EQ(answers.by_id.at(0), found({"domain.org/mails/user2"}));
  for (std::uint64_t i = 1; i <= 10; ++i) EXPECT_EQ(answers.by_id.at(i), kUserHome);
}

TEST_F(PgsqlTables, AskAgainAlsoForThoseThatWaitedLong) {
  connect_timeout_ = 1s;
  query_timeout_ = kPatience;
  const auto t = with(login() + "query = SELECT pg_advisory_xact_lock_shared(1)::text || '%s'\n");
  EXPECT_EQ(ask(*t, "k"), found({"k"}));
  const PgConnPtr holder = connect();
  PgResultPtr(PQexec(holder.get(), "SELECT pg_advisory_lock(1)"));
  Answers answers;
  const std::size_t all = PgsqlServer::kMostInFlight + 10;
  for (std::size_t i = 0; i < all; ++i) ASSERT_FALSE(t->lookup("k", answers, i));
  run_loop_for(1200ms);
  terminate_busy();
  PgResultPtr(PQexec(holder.get(), "SELECT pg_advisory_unlock(1)"));
  wait_for(answers, all);
  for (std::size_t i = 0; i < all; ++i) ASSERT_EQ(answers.by_id.at(i), found({"k"}));
}

TEST_F(PgsqlTables, GiveUpWhatTookTwoConnectionsWithIt) {
  query_timeout_ = 2 * kPatience;
  const auto t = with(login() + "query = SELECT pg_sleep(100)::text || '%s'\n");
  Answers answers;
  EXPECT_FALSE(t->lookup("k", answers, 1));
  terminate_busy();
  terminate_busy();
  wait_for(answers, 1);
  EXPECT_EQ(why(answers.by_id.at(1)),
            "pgsql:/t0.cf: terminating connection due to administrator command (SQLSTATE 57P01)");
}

TEST_F(PgsqlTables, GiveUpTheConnectionThatACopyIsOnAndGoOn) {
  const auto good = with(superuser() + "query = SELECT home FROM users WHERE userid = '%s'\n");
  EXPECT_EQ(ask(*good, "user@domain.org"), kUserHome);
  std::uint64_t connections = 1;
  for (const auto* query : {"COPY users TO STDOUT", "COPY users FROM STDIN"}) {
    const auto copies = with(superuser() + "query = " + query + "\n");
    Answers answers;
    EXPECT_FALSE(good->lookup("user@domain.org", answers, 1));
    EXPECT_FALSE(copies->lookup("k", answers, 2));
    EXPECT_FALSE(good->lookup("user@foo.org", answers, 3));
    wait_for(answers, 3);
    EXPECT_EQ(answers.by_id.at(1), kUserHome);
    EXPECT_THAT(why(answers.by_id.at(2)), HasSubstr("the query is a COPY")) << query;
    EXPECT_EQ(answers.by_id.at(3), found({"foo.org/mails/user"})) << query;
    EXPECT_EQ(statistics().connections, ++connections) << query;
  }
}

// The second has its first answer by a COPY, too.
TEST_F(PgsqlTables, AnswerWhatStandsBehindSeveralCopies) {
  prepare_statements_ = false;
  const auto good = with(superuser() + "query = SELECT home FROM users WHERE userid = '%s'\n");
  const auto copies = with(superuser() + "query = COPY users TO STDOUT\n");
  Answers answers;
  EXPECT_FALSE(copies->lookup("k", answers, 1));
  EXPECT_FALSE(copies->lookup("k", answers, 2));
  EXPECT_FALSE(good->lookup("user@domain.org", answers, 3));
  wait_for(answers, 3);
  EXPECT_THAT(why(answers.by_id.at(1)), HasSubstr("the query is a COPY"));
  EXPECT_THAT(why(answers.by_id.at(2)), HasSubstr("the query is a COPY"));
  EXPECT_EQ(answers.by_id.at(3), kUserHome);
}

TEST_F(PgsqlTables, GiveUpAQueryThatTakesTooLong) {
  query_timeout_ = 500ms;
  const auto slow = with(login() + "query = SELECT pg_sleep(100)::text || '%s'\n");
  const auto t = homes();
  EXPECT_TRUE(is_answered(*t));
  Answers answers;
  EXPECT_FALSE(slow->lookup("k", answers, 1));
  EXPECT_FALSE(t->lookup("user@domain.org", answers, 2));
  wait_for(answers, 2);
  EXPECT_THAT(why(answers.by_id.at(1)), HasSubstr("no answer from the database within 0.5 s"));
  EXPECT_THAT(why(answers.by_id.at(2)), HasSubstr("no answer from the database within 0.5 s"));
  EXPECT_TRUE(is_answered(*t));
}

// A cancelled query's connection comes to the COPY behind it.
TEST_F(PgsqlTables, LeaveACopyBehindAndGoOn) {
  query_timeout_ = 500ms;
  const auto slow = with(superuser() + "query = SELECT pg_sleep(100)::text || '%s'\n");
  const auto copies = with(superuser() + "query = COPY users TO STDOUT\n");
  const auto good = with(superuser() + "query = SELECT home FROM users WHERE userid = '%s'\n");
  EXPECT_TRUE(is_answered(*good));
  Answers answers;
  EXPECT_FALSE(slow->lookup("k", answers, 1));
  EXPECT_FALSE(copies->lookup("k", answers, 2));
  wait_for(answers, 2);
  EXPECT_THAT(why(answers.by_id.at(2)), HasSubstr("no answer from the database within 0.5 s"));
  EXPECT_TRUE(run_until(
      [&] { return sql("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'").empty(); }));
  EXPECT_TRUE(is_answered(*good));
}

// Each query waits for a lock until it is given up, with all that waits behind it.
TEST_F(PgsqlTables, LeaveFewServerProcessesBehind) {
  query_timeout_ = 200ms;
  const auto t = homes();
  EXPECT_TRUE(is_answered(*t));
  std::optional<LockedTable> lock(std::in_place, postgres_, "users");
  const auto backends = [&] {
    return std::stoul(
        sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lmtpd'").at(0));
  };
  const auto connections = statistics().connections;
  const auto begin = steady_clock::now();
  std::size_t most = 0;
  while (steady_clock::now() - begin < 4s) {
    for (const Answer& answer : ask_all(*t, std::vector<std::string>(5, "user@domain.org"))) {
      EXPECT_NE(why(answer), "(an answer)");
    }
    most = std::max(most, backends());
    run_loop_for(20ms);
  }
  EXPECT_LE(most, 1 + PgsqlServer::kMostLeftovers);
  // 200 ms each, and a back-off that grows from 100 ms to 2 s.
  EXPECT_LE(statistics().connections - connections, 9U);
  lock.reset();
  EXPECT_TRUE(is_answered(*t));
  EXPECT_TRUE(run_until([&] { return backends() == 1; })) << "those that were given up are gone";
}

TEST_F(PgsqlTables, OutlastAServerThatHangs) {
  query_timeout_ = 300ms;
  connect_timeout_ = 300ms;
  const auto t = homes();
  EXPECT_TRUE(is_answered(*t));
  postgres_.pause();
  EXPECT_THAT(why(ask(*t, "user@domain.org")), HasSubstr("no answer from the database"));
  EXPECT_THAT(why(ask(*t, "user@domain.org")), HasSubstr("no connection"));
  postgres_.resume();
  EXPECT_TRUE(is_answered(*t));
}

TEST_F(PgsqlTables, TryTheirHostsInOrder) {
  connect_timeout_ = 400ms;
  const std::array<SilentHost, 5> silent{};
  std::string hosts = "127.0.0.1:1, ";
  for (const SilentHost& each : silent) hosts += each.host() + ", ";
  const auto t =
      with(login(fmt::format("{}no-such-host.invalid, 127.0.0.1:{}", hosts, postgres_.port())) +
           "table = users\nselect_field = home\nwhere_field = userid\n");
  // A lookup does not wait for all of them.
  EXPECT_THAT(why(ask(*t, "user@domain.org")), HasSubstr("no connection to 127.0.0.1:1, "));
  EXPECT_TRUE(is_answered(*t));
  EXPECT_EQ(statistics().connections, 1U);
}

TEST_F(PgsqlTables, ReturnToAHostEarlierInTheList) {
  retry_interval_ = 100ms;
  const auto on_socket = [&] {
    return sql("SELECT client_addr IS NULL FROM pg_stat_activity WHERE application_name = 'lmtpd'");
  };
  // The server's socket under another name, which is not there yet.
  const std::string near = fmt::format("/tmp/lmtpd-near-{}", getpid());
  const auto hosts = fmt::format("{0}:{1}, 127.0.0.1:{1}", near, postgres_.port());
  const auto t = with(login(hosts) +
                      "query = SELECT pg_sleep(0.4)::text || home FROM users"
                      " WHERE userid = '%s'\n");
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
  run_loop_for(300ms);
  EXPECT_EQ(on_socket(), std::vector<std::string>{"f"});
  EXPECT_EQ(statistics().connections, 1U);

  std::filesystem::create_symlink(postgres_.socket_folder(), near);
  // Lookups under way move along.
  const std::vector<std::string> keys(3, "user@domain.org");
  EXPECT_TRUE(run_until([&] {
    for (const Answer& answer : ask_all(*t, keys)) EXPECT_EQ(answer, kUserHome);
    return on_socket() == std::vector<std::string>{"t"};
  }));
  std::filesystem::remove(near);
  EXPECT_EQ(statistics().connections, 2U);
  run_loop_for(300ms);
  EXPECT_EQ(statistics().connections, 2U);

  // Lost while the first is away: on to the second again.
  sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lmtpd'");
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
  EXPECT_EQ(on_socket(), std::vector<std::string>{"f"});
}

TEST_F(PgsqlTables, SayWhatIsWrongWithEachHost) {
  connect_timeout_ = 300ms;
  const SilentHost silent;
  const auto t = with(login("127.0.0.1:1 /nonexistent " + silent.host()) + "query = SELECT '%s'\n");
  Answer answer;
  EXPECT_TRUE(run_until([&] {
    answer = ask(*t, "k");
    return why(answer).find(silent.host() + ": no connection within 0.3 s") != std::string::npos;
  }));
  EXPECT_THAT(why(answer), HasSubstr("port 1 failed: Connection refused"));
  EXPECT_THAT(why(answer), HasSubstr("/nonexistent/.s.PGSQL.5432"));
}

TEST_F(PgsqlTables, BackOffAtRandom) {
  const SilentHost host;
  const auto t = with(login(host.host()) + "query = SELECT '%s'\n");
  // 50-100 ms, 100-200 ms, 200-400 ms, 400-800 ms, 800-1,600 ms, and 1,000-2,000 ms from then on.
  std::chrono::milliseconds longest = 100ms;
  std::optional<steady_clock::time_point> last;
  int dials = 0;
  bool random = false;
  EXPECT_TRUE(run_until([&] {
    run_loop_for(2ms);
    if (!host.hang_up()) return false;
    const auto now = steady_clock::now();
    if (last) {
      EXPECT_GE(now - *last, longest / 2 - 5ms);
      random |= now - *last < longest * 9 / 10;
      longest = std::min(2 * longest, 2'000ms);
    }
    last = now;
    return ++dials >= 5 && random;
  }));
}

TEST_F(PgsqlTables, MayGoWhileTheirQueriesAreOnTheWay) {
  auto gone = with(login() + "query = SELECT pg_sleep(0.2)::text || '%s'\n");
  const auto t = homes();
  Answers answers;
  EXPECT_FALSE(gone->lookup("a", answers, 1));
  run_loop_for(100ms);
  EXPECT_FALSE(gone->lookup("b", answers, 2));
  gone.reset();
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
  EXPECT_TRUE(answers.by_id.empty());
}

// An asker that asks on from its own callback.
class Chain final : public Asker {
 public:
  explicit Chain(Table& table) : table_(table) {}
  void on_answer(std::uint64_t id, const Answer& answer) override {
    EXPECT_EQ(answer, kUserHome);
    if (id == 20 || table_.lookup("user@domain.org", *this, id + 1)) done = id;
  }
  std::uint64_t done = 0;

 private:
  Table& table_;
};

TEST_F(PgsqlTables, MayBeAskedFromTheirOwnAnswers) {
  const auto t = homes();
  Chain chain(*t);
  EXPECT_FALSE(t->lookup("user@domain.org", chain, 1));
  EXPECT_TRUE(run_until([&] { return chain.done != 0; }));
  EXPECT_EQ(chain.done, 20U);
}

}  // namespace
}  // namespace lmtpd::lookup
