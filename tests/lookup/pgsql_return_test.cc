// How PostgreSQL tables leave a host where queries have no answer, and come back to it.
//
// Two hosts are one server here: a URI's search_path tells them apart, and whose row an answer is
// tells which was asked.
#include <set>

#include "tests/lookup/pgsql_fixture.h"

namespace lmtpd::lookup {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

const Answer kNear = kUserHome;
const Answer kFar = found({"far/user"});

class Deaf final : public PgsqlReceiver {
 public:
  void on_values(const PgsqlQuery&, Result<std::vector<std::string>> values) override {
    is_told = true;
    EXPECT_FALSE(values);
  }
  bool is_told = false;
};

class PgsqlHostsThatHang : public PgsqlTables {
 protected:
  void SetUp() override {
    PgsqlTables::SetUp();
    sql("DROP SCHEMA IF EXISTS far CASCADE; CREATE SCHEMA far;"
        "CREATE TABLE far.users AS SELECT userid, 'far/user' AS home FROM users;"
        "GRANT USAGE ON SCHEMA far TO mailreader; GRANT SELECT ON far.users TO mailreader;");
    query_timeout_ = 2s;
  }

  [[nodiscard]] std::string near_and_far() const {
    const std::string near =
        fmt::format("postgresql://mailreader:secret@127.0.0.1:{}/mails", postgres_.port());
    return fmt::format("hosts = {0}, {0}?options=-csearch_path%3Dfar\n", near);
  }
  std::unique_ptr<Table> near_and_far_homes() {
    return with(near_and_far() + "query = SELECT home FROM users WHERE userid = '%s'\n");
  }
  Answer home(Table& table) { return ask(table, "user@domain.org"); }
  void expect_no_answer(Table& table) {
    EXPECT_THAT(why(home(table)), HasSubstr("no answer from the database within 2 s"));
    EXPECT_TRUE(run_until([this] { return hanging().empty(); })) << "it was not cancelled";
  }
  // Until that holds the far host answers.
  [[nodiscard]] bool far_until(Table& table, const std::function<bool()>& holds) {
    return run_until([&] {
      if (holds()) return true;
      EXPECT_EQ(home(table), kFar);
      return false;
    });
  }
  [[nodiscard]] bool comes_back(Table& table) {
    return run_until([&] {
      const Answer answer = home(table);
      EXPECT_TRUE(answer == kFar || answer == kNear) << why(answer);
      return answer == kNear;
    });
  }
  std::vector<std::string> hanging() {
    return sql(
        "SELECT pid FROM pg_stat_activity"
        "  WHERE application_name = 'lmtpd' AND wait_event_type = 'Lock'");
  }
};

TEST_F(PgsqlHostsThatHang, AreLeftForTheNext) {
  const auto t = near_and_far_homes();
  EXPECT_EQ(home(*t), kNear);
  const LockedTable lock(postgres_, "public.users");
  expect_no_answer(*t);
  EXPECT_EQ(home(*t), kFar);
  EXPECT_EQ(statistics().connections, 2U);
  // The next connection, too, is not made to where queries hang.
  sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lmtpd'");
  EXPECT_EQ(home(*t), kFar);
  EXPECT_EQ(statistics().connections, 3U);
}

TEST_F(PgsqlHostsThatHang, AreTakenAgainWhenTheyHaveAnsweredWhatTheyDidNot) {
  retry_interval_ = 100ms;
  const auto t = near_and_far_homes();
  EXPECT_EQ(home(*t), kNear);
  {
    const LockedTable lock(postgres_, "public.users");
    expect_no_answer(*t);
    std::set<std::string> trials;
    std::size_t most = 0;
    EXPECT_TRUE(far_until(*t, [&] {
      for (const std::string& pid : hanging()) trials.insert(pid);
      most = std::max(most, hanging().size());
      return trials.size() == 2;
    }));
    EXPECT_EQ(most, 1U) << "what was given up was cancelled before the next trial";
    EXPECT_EQ(statistics().connections, 2U);
  }
  EXPECT_TRUE(comes_back(*t));
  EXPECT_EQ(statistics().connections, 3U);
}

TEST_F(PgsqlHostsThatHang, AreNotTakenForAnError) {
  retry_interval_ = 100ms;
  sql("CREATE SEQUENCE tried; GRANT USAGE ON tried TO mailreader;"
      "CREATE FUNCTION home(text) RETURNS text LANGUAGE sql AS $$SELECT pg_sleep(600)::text$$;"
      "CREATE FUNCTION far.home(text) RETURNS text LANGUAGE sql AS $$SELECT 'far/user'$$;");
  const auto t = with(near_and_far() + "query = SELECT home('%s')\n");
  expect_no_answer(*t);
  sql("CREATE OR REPLACE FUNCTION home(text) RETURNS text LANGUAGE plpgsql AS"
      "  $$BEGIN PERFORM nextval('public.tried'); RAISE 'busy'; END$$");
  EXPECT_TRUE(far_until(*t, [&] {
    return sql("SELECT last_value > 2 FROM tried") == std::vector<std::string>{"t"};
  }));
  EXPECT_EQ(home(*t), kFar);
  EXPECT_EQ(statistics().connections, 2U);
  sql("CREATE OR REPLACE FUNCTION home(text) RETURNS text LANGUAGE plpgsql AS"
      "  $$BEGIN RETURN 'domain.org/mails/user'; END$$");
  EXPECT_TRUE(comes_back(*t));
}

TEST_F(PgsqlHostsThatHang, AreNoWorseThanOthersThatDo) {
  const auto t = near_and_far_homes();
  EXPECT_EQ(home(*t), kNear);
  {
    const LockedTable near(postgres_, "public.users");
    const LockedTable far(postgres_, "far.users");
    expect_no_answer(*t);
    expect_no_answer(*t);
  }
  // Where the round begins anew, after a back-off.
  Answer answer;
  EXPECT_TRUE(run_until([&] {
    answer = home(*t);
    return why(answer) == "(an answer)";
  }));
  EXPECT_EQ(answer, kNear);
}

TEST_F(PgsqlHostsThatHang, NeedNotAnswerATableThatIsGone) {
  retry_interval_ = 100ms;
  auto t = near_and_far_homes();
  const auto other = with(near_and_far() + "query = SELECT current_schema() || '%s'\n");
  EXPECT_EQ(home(*t), kNear);
  const LockedTable lock(postgres_, "public.users");
  expect_no_answer(*t);
  EXPECT_TRUE(far_until(*t, [&] { return !hanging().empty(); }));
  t.reset();  // while it is tried
  EXPECT_TRUE(run_until([&] { return ask(*other, "-") == found({"public-"}); }));
}

// As the proof of notices, which a standby refuses.
TEST_F(PgsqlHostsThatHang, NeedNotAnswerWhatIsNoLookup) {
  retry_interval_ = 100ms;
  const auto t = with(near_and_far() + "query = SELECT current_schema() || '%s'\n");
  EXPECT_EQ(ask(*t, "-"), found({"public-"}));
  const LockedTable lock(postgres_, "public.users");
  PgsqlServer& server = *factory().servers().at(0);
  const SqlStatement sql(Template::parse("SELECT home FROM users WHERE userid = '%s'").value(),
                         SqlDialect::postgresql);
  PgsqlStatement statement{&sql, "proof", server.next_statement()};
  Deaf receiver;
  EXPECT_FALSE(server.ask({&statement, &receiver, "user@domain.org", nullptr, 0}));
  EXPECT_TRUE(run_until([&] { return receiver.is_told; }));
  EXPECT_EQ(ask(*t, "-"), found({"far-"}));
  EXPECT_TRUE(run_until([&] { return ask(*t, "-") == found({"public-"}); }));
}

}  // namespace
}  // namespace lmtpd::lookup
