// Changed rows reach the cache through PostgreSQL's notices.

#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/config/values.h"
#include "lookup/site_tables.h"
#include "tests/lookup/pgsql_fixture.h"

namespace lmtpd::lookup {
namespace {

using namespace std::chrono_literals;

class Notices : public PgsqlTables {
 protected:
  // The site's tables, with the homes of `users` for mailboxes.
  SiteTables& site() {
    if (site_) return *site_;
    write("/homes.cf",
          login(hosts_) + "table = users\nselect_field = home\nwhere_field = userid\n");
    settings_.virtual_mailbox_maps = parse_table_list("pgsql:/homes.cf").value();
    settings_.cache_size = 1000;
    auto made = SiteTables::make(settings_, base_.get(), context().read_file);
    EXPECT_TRUE(made) << made.error().text;
    site_ = *std::move(made);
    return *site_;
  }
  Answer home(const std::string& user) {
    return ask(*site().resolver_settings().virtual_mailbox_maps.at(0), user);
  }
  [[nodiscard]] bool hears() {
    return run_until([this] { return site().statistics().notices_arrive; });
  }
  [[nodiscard]] bool is_unheard() {
    return run_until([this] { return !site().statistics().notices_arrive; });
  }
  void move_home(const std::string& user, const std::string& notice) {
    sql("UPDATE users SET home = 'elsewhere' WHERE userid = '" + user + "'");
    sql("SELECT pg_notify('lmtpd', " + notice + ")");
  }

  Settings settings_;
  std::string hosts_;
  std::unique_ptr<SiteTables> site_;
};

TEST_F(Notices, TakeTheKeyOutOfTheCache) {
  ASSERT_TRUE(hears());
  EXPECT_EQ(home("user@domain.org"), kUserHome);
  move_home("user@domain.org", "'user2@domain.org'");
  run_loop_for(100ms);
  EXPECT_EQ(home("user@domain.org"), kUserHome) << "the other key's notice";
  move_home("user@domain.org", "E'other@domain.org\\nUSER@Domain.org'");
  EXPECT_TRUE(run_until([this] { return home("user@domain.org") == found({"elsewhere"}); }));
}

TEST_F(Notices, TakeADomainOut) {
  ASSERT_TRUE(hears());
  EXPECT_EQ(home("user@domain.org"), kUserHome);
  EXPECT_EQ(home("user@foo.org"), found({"foo.org/mails/user"}));
  sql("UPDATE users SET home = 'elsewhere'");
  sql("SELECT pg_notify('lmtpd', 'domain.org')");
  EXPECT_TRUE(run_until([this] { return home("user@domain.org") == found({"elsewhere"}); }));
  EXPECT_EQ(home("user@foo.org"), found({"foo.org/mails/user"}));
}

TEST_F(Notices, TakeEverythingOutWhenTheyCannotBeRead) {
  ASSERT_TRUE(hears());
  for (const char* notice : {"'*'", "''", "E'a@b.org\\n'", "E'\\001'", "E'a@b.org\\n*'",
                             "'a' || E'\\n' || array_to_string(array(select generate_series(1, 9)),"
                             " E'\\n')"}) {
    sql("UPDATE users SET home = 'domain.org/mails/user' WHERE userid = 'user@domain.org'");
    const std::uint64_t flushes = site().statistics().cache_flushes;
    sql("SELECT pg_notify('lmtpd', '*')");
    ASSERT_TRUE(run_until([&] { return site().statistics().cache_flushes > flushes; }));
    EXPECT_EQ(home("user@domain.org"), kUserHome);
    move_home("user@domain.org", notice);
    EXPECT_TRUE(run_until([this] { return home("user@domain.org") == found({"elsewhere"}); }))
        << notice;
  }
}

// As a transaction of many statements notifies them.
TEST_F(Notices, OfManyDomainsAreTakenTogether) {
  ASSERT_TRUE(hears());
  EXPECT_EQ(home("user@domain.org"), kUserHome);
  const std::uint64_t before = site().statistics().notices;
  const std::uint64_t flushes = site().statistics().cache_flushes;
  const auto begin = std::chrono::steady_clock::now();
  sql("UPDATE users SET home = 'elsewhere'");
  sql("SELECT pg_notify('lmtpd', 'd' || i || '.org') FROM generate_series(1, 3000) i");
  ASSERT_TRUE(run_until([&] { return site().statistics().notices == before + 3000; }));
  EXPECT_TRUE(run_until([this] { return home("user@domain.org") == found({"elsewhere"}); }));
  const auto intervals =
      (std::chrono::steady_clock::now() - begin) / CacheEvictor::kFlushInterval + 2;
  EXPECT_LE(site().statistics().cache_flushes - flushes, static_cast<std::uint64_t>(intervals));
}

// What was missed meanwhile is asked for again.
TEST_F(Notices, MayHaveBeenMissedWhenTheConnectionWasLost) {
  ASSERT_TRUE(hears());
  EXPECT_EQ(home("user@domain.org"), kUserHome);
  sql("UPDATE users SET home = 'elsewhere' WHERE userid = 'user@domain.org'");
  sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'");
  ASSERT_TRUE(is_unheard());
  EXPECT_TRUE(run_until([this] { return home("user@domain.org") == found({"elsewhere"}); }));
  sql("UPDATE users SET home = 'further' WHERE userid = 'user@domain.org'");
  ASSERT_TRUE(hears());
  EXPECT_TRUE(run_until([this] { return home("user@domain.org") == found({"further"}); }));
}

// As behind a pooler in transaction mode: LISTEN is answered, and nothing ever comes.
TEST_F(Notices, AreNotTrustedUnlessOneHasCome) {
  ASSERT_TRUE(hears());
  sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'");
  ASSERT_TRUE(is_unheard());
  // The proof's notice goes nowhere.
  sql("CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE sql AS ''");
  sql("ALTER ROLE mailreader SET search_path = public, pg_catalog");
  sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mailreader'");
  run_loop_for(12s);
  EXPECT_FALSE(site().statistics().notices_arrive);
  EXPECT_EQ(home("user@domain.org"), kUserHome);
  sql("ALTER ROLE mailreader RESET search_path");
  sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mailreader'");
  EXPECT_TRUE(hears());
}

TEST_F(Notices, ComeFromNowhereWhereTheyAreNotWanted) {
  settings_.notify_hosts = "none";
  EXPECT_EQ(home("user@domain.org"), kUserHome);
  EXPECT_EQ(sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"),
            std::vector<std::string>{"0"});
  EXPECT_FALSE(site().statistics().notices_arrive);
}

TEST_F(Notices, ComeFromHostsOfTheirOwn) {
  settings_.notify_hosts =
      fmt::format("127.0.0.1:1 127.0.0.1:{}", PrivatePostgres::instance().port());
  ASSERT_TRUE(hears());
  EXPECT_EQ(home("user@domain.org"), kUserHome);
  move_home("user@domain.org", "'user@domain.org'");
  EXPECT_TRUE(run_until([this] { return home("user@domain.org") == found({"elsewhere"}); }));
  // The tables' host may be a replica that has not got it all: not trusted for long.
  sql("UPDATE users SET home = 'further' WHERE userid = 'user@domain.org'");
  EXPECT_TRUE(run_until([this] { return home("user@domain.org") == found({"further"}); }));
}

// A change that was missed may not have reached the tables' host when the feed is there again.
TEST_F(Notices, ThatBeginOverATableThatMayBeBehindAreNotTrustedForLong) {
  settings_.notify_hosts = fmt::format("127.0.0.1:{}", PrivatePostgres::instance().port());
  ASSERT_TRUE(hears());
  EXPECT_EQ(home("user@domain.org"), kUserHome);
  sql("UPDATE users SET home = 'elsewhere' WHERE userid = 'user@domain.org'");  // arrives later
  EXPECT_TRUE(run_until([this] { return home("user@domain.org") == found({"elsewhere"}); }));
}

TEST_F(Notices, NeedAHostThatIsOne) {
  write("/homes.cf", login() + "table = users\nselect_field = home\nwhere_field = userid\n");
  settings_.virtual_mailbox_maps = parse_table_list("pgsql:/homes.cf").value();
  settings_.notify_hosts = "127.0.0.1:port";
  const auto made = SiteTables::make(settings_, base_.get(), context().read_file);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().text, testing::HasSubstr("notify_hosts: \"127.0.0.1:port\""));
}

// A restart under load of one asker: the cached answer stands in meanwhile.
TEST_F(Notices, OfADatabaseThatIsAwayLeaveOldAnswersToStandIn) {
  ASSERT_TRUE(hears());
  EXPECT_EQ(home("user@domain.org"), kUserHome);
  postgres_.stop();
  ASSERT_TRUE(is_unheard());
  EXPECT_TRUE(run_until([this] {
    Answer answer = home("user@domain.org");
    if (auto* const row = std::get_if<Found>(&answer)) row->was = false;
    EXPECT_EQ(answer, kUserHome);
    return site().statistics().cache_stale_hits >= 20;
  }));
  postgres_.start();
  ASSERT_TRUE(hears());
  sql("UPDATE users SET home = 'elsewhere' WHERE userid = 'user@domain.org'");
  // What stood in is asked for anew at its next use, and counts for AnswerCache::kDoubt at most.
  EXPECT_TRUE(run_until([this] { return home("user@domain.org") == found({"elsewhere"}); }));
}

}  // namespace
}  // namespace lmtpd::lookup
