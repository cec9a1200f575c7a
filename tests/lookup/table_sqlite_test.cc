#include <gmock/gmock.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>

#include "tests/lookup/asking.h"

namespace lmtpd::lookup {
namespace {

using testing::HasSubstr;

// Locks the file, as a program does that writes to it, for so long or until its end.
class Writer {
 public:
  explicit Writer(const std::string& path) {
    EXPECT_EQ(sqlite3_open(path.c_str(), &database_), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database_, "BEGIN EXCLUSIVE", nullptr, nullptr, nullptr), SQLITE_OK);
  }
  Writer(const std::string& path, std::chrono::milliseconds time) : Writer(path) {
    thread_ = std::thread([this, time] {
      std::this_thread::sleep_for(time);
      sqlite3_exec(database_, "COMMIT", nullptr, nullptr, nullptr);
    });
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() {
    if (thread_.joinable()) thread_.join();
    sqlite3_close(database_);
  }

 private:
  sqlite3* database_ = nullptr;
  std::thread thread_;
};

class SqliteTables : public Asking {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "sqlite-XXXXXX";
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    path_ = folder_ + "/mail.db";
    sql(path_,
        "CREATE TABLE users (userid TEXT, home TEXT, uid INTEGER);"
        "INSERT INTO users VALUES ('user@domain.org', 'domain.org/user/', 1001);");
  }

  static void sql(const std::string& path, const std::string& text) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(database, text.c_str(), nullptr, nullptr, &message), SQLITE_OK)
        << message;
    sqlite3_close(database);
  }

  std::unique_ptr<Table> with(const std::string& parameters) {
    write("/t.cf", "dbpath = " + path_ + "\n" + parameters);
    return table("sqlite:/t.cf");
  }

  std::string folder_;
  std::string path_;
};

TEST_F(SqliteTables, TakeLegacyKeysAndQueries) {
  EXPECT_EQ(ask(*with("table=users\nselect_field=uid\nwhere_field=userid"), "user@domain.org"),
            found({"1001"}));
  const auto t =
      with("query = SELECT home FROM users WHERE userid = '%u@%d'\nresult_format = x/%s");
  EXPECT_EQ(ask(*t, "user@domain.org"), found({"x/domain.org/user/"}));
  EXPECT_EQ(ask(*t, "other@domain.org"), Answer(Absent{}));
  EXPECT_EQ(ask(*t, "user"), Answer(Absent{}));
}

TEST_F(SqliteTables, AnswerEachRowsFirstColumn) {
  sql(path_, "CREATE TABLE v (a, b); INSERT INTO v VALUES ('x', 1), (NULL, 2), ('', 3), ('y', 4)");
  const auto t = with("query = SELECT a, b FROM v WHERE '%s' <> '' ORDER BY b");
  testing::internal::CaptureStderr();
  EXPECT_EQ(ask(*t, "k"), found({"x", "y"}));
  EXPECT_EQ(ask(*t, "k"), found({"x", "y"}));
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log,
              testing::EndsWith("warning: sqlite:/t.cf: empty lookup result for \"k\" ignored\n"));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1);
  EXPECT_THAT(
      why(ask(*with("query = SELECT b FROM v WHERE '%s' <> ''\nexpansion_limit = 3"), "k")),
      HasSubstr("sqlite:/t.cf: the result for \"k\" has more values than expansion_limit = 3"));
}

TEST_F(SqliteTables, FormsAgreeOnHostileKeys) {
  const std::vector<std::string> keys = {
      "o'brien@d", "back\\slash@d", "per%cent@d", "müller@d", "\"q q\"@d",
      "''@d",      "?1@d",          "%s@d",       "a';--@d",  "\xf0\x9f\x93\xac@d"};
  sql(path_, "CREATE TABLE k (k TEXT, v INTEGER)");
  const auto quoted = [](const std::string& text) {
    char* escaped_text = sqlite3_mprintf("%Q", text.c_str());
    std::string copy = escaped_text;
    sqlite3_free(escaped_text);
    return copy;
  };
  for (std::size_t i = 0; i < keys.size(); ++i) {
    sql(path_, "INSERT INTO k VALUES (" + quoted(keys[i]) + ", " + std::to_string(i) + ")");
  }
  for (const auto* query :
       {"SELECT v FROM k WHERE k = '%s'", "SELECT v FROM k WHERE k = '%u@%d'",
        "SELECT v FROM k WHERE k = '%s' /* %d */", "SELECT v FROM k WHERE k = \"%s\"",
        "SELECT v AS '%s' FROM k WHERE k = '%s'"}) {
    const auto t = with(std::string("query = ") + query);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      EXPECT_EQ(ask(*t, keys[i]), found({std::to_string(i)})) << query << " for " << keys[i];
    }
  }
}

TEST_F(SqliteTables, AreUnavailableWithoutTheirFileAndComeBack) {
  const auto t = with("query = SELECT home FROM users WHERE userid = '%s'");
  EXPECT_EQ(ask(*t, "user@domain.org"), found({"domain.org/user/"}));
  ASSERT_EQ(rename(path_.c_str(), (path_ + ".away").c_str()), 0);
  EXPECT_EQ(why(ask(*t, "user@domain.org")),
            "sqlite:/t.cf: " + path_ + ": No such file or directory");
  ASSERT_EQ(rename((path_ + ".away").c_str(), path_.c_str()), 0);
  EXPECT_EQ(ask(*t, "user@domain.org"), found({"domain.org/user/"}));
}

TEST_F(SqliteTables, ReadTheFileThatReplacedTheirs) {
  const auto t = with("query = SELECT home FROM users WHERE userid = '%s'");
  EXPECT_EQ(ask(*t, "user@domain.org"), found({"domain.org/user/"}));
  sql(path_ + ".new",
      "CREATE TABLE users (userid TEXT, home TEXT);"
      "INSERT INTO users VALUES ('user@domain.org', 'new/');");
  ASSERT_EQ(rename((path_ + ".new").c_str(), path_.c_str()), 0);
  EXPECT_EQ(ask(*t, "user@domain.org"), found({"new/"}));
}

TEST_F(SqliteTables, SeeRowsWrittenAfterTheyWereOpened) {
  const auto t = with("query = SELECT home FROM users WHERE userid = '%s'");
  EXPECT_EQ(ask(*t, "late@domain.org"), Answer(Absent{}));
  sql(path_, "INSERT INTO users VALUES ('late@domain.org', 'late/', 1)");
  EXPECT_EQ(ask(*t, "late@domain.org"), found({"late/"}));
  sql(path_, "ALTER TABLE users ADD COLUMN note; DELETE FROM users WHERE uid = 1");
  EXPECT_EQ(ask(*t, "late@domain.org"), Answer(Absent{}));
}

TEST_F(SqliteTables, AreUnavailableWhenAWriterHoldsTheFile) {
  const auto t = with("query = SELECT home FROM users WHERE userid = '%s'");
  {
    const Writer writer(path_);
    EXPECT_THAT(why(ask(*t, "user@domain.org")), HasSubstr("database is locked"));
  }
  EXPECT_EQ(ask(*t, "user@domain.org"), found({"domain.org/user/"}));
}

TEST_F(SqliteTables, WaitForAWriterOnceNotForEachKey) {
  const auto prepared = with("query = SELECT home FROM users WHERE userid = '%s'");
  const auto as_text = with("query = SELECT home AS '%s' FROM users WHERE userid = '%s'");
  for (Table* t : {prepared.get(), as_text.get()}) {
    EXPECT_EQ(ask(*t, "user@domain.org"), found({"domain.org/user/"}));
    std::optional<Writer> writer(path_);
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 100; ++i) {
      EXPECT_THAT(why(ask(*t, "user@domain.org")), HasSubstr("database is locked"));
    }
    // 20 s, were each to wait.
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8));
    writer.reset();
    EXPECT_EQ(ask(*t, "user@domain.org"), found({"domain.org/user/"})) << "at once";
  }
}

TEST_F(SqliteTables, WaitForAWriterAgainOnceTheyHaveBeenRead) {
  const auto t = with("query = SELECT home FROM users WHERE userid = '%s'");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(ask(*t, "user@domain.org"), found({"domain.org/user/"}));
    const Writer writer(path_);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_THAT(why(ask(*t, "user@domain.org")), HasSubstr("database is locked"));
    EXPECT_GT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(100)) << i;
  }
}

TEST_F(SqliteTables, LearnNothingOfTheQueryFromALock) {
  // SQLite waits for 200 ms in all, and longer on a machine that stands still meanwhile.
  const Answer home = found({"domain.org/user/"});
  Answer answer = home;
  for (int i = 0; i < 10 && answer == home; ++i) {
    const auto t = with("query = SELECT home FROM users WHERE userid = '%s'");
    const Writer writer(path_, std::chrono::milliseconds(300));
    testing::internal::CaptureStderr();
    answer = ask(*t, "user@domain.org");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  }
  EXPECT_THAT(why(answer), HasSubstr("database is locked"))
      << "it waited for another statement, too";
}

TEST_F(SqliteTables, AreUnavailableForWhatIsNoDatabaseOrNoQuery) {
  write("/bad.cf", "dbpath = /etc/passwd\nquery = SELECT a FROM t");
  EXPECT_THAT(why(ask(*table("sqlite:/bad.cf"), "k")), HasSubstr("file is not a database"));
  EXPECT_THAT(why(ask(*with("query = SELECT gone FROM users WHERE userid = '%s'"), "k")),
              HasSubstr("no such column: gone"));
  EXPECT_THAT(why(ask(*with("query = SELECT 1; SELECT 2"), "k")), HasSubstr("more than one"));
  EXPECT_THAT(why(ask(*with("query = SELECT X'FF'"), "k")), HasSubstr("not valid UTF-8"));
}

TEST_F(SqliteTables, AreCheckedByPreparingTheQuery) {
  write("/good.cf", "dbpath = " + path_ + "\nquery = SELECT home FROM users WHERE uid = %u;");
  EXPECT_TRUE(check("sqlite:/good.cf"));
  write("/bad.cf", "dbpath = " + path_ + "\nquery = SELECT home FROM nobody WHERE userid = '%s'");
  EXPECT_THAT(check("sqlite:/bad.cf").error().text, HasSubstr("no such table: nobody"));
  write("/none.cf", "query = SELECT 1");
  EXPECT_EQ(check("sqlite:/none.cf").error().text, "/none.cf: dbpath: missing");
}

TEST_F(SqliteTables, AreNotAskedForDomainsThatTheirListLacks) {
  write("/domains", "listed.org\n");
  write("/more.cf", "dbpath = " + path_ +
                        "\nquery = SELECT 1 WHERE '%s' IN ('asked.org', 'domain.org', 'x.org')");
  const auto t = with(
      "query = SELECT 'y'\ndomain = Müller.example, /domains, !x.org, sqlite:/more.cf, static:x\n");
  for (const auto* key : {"u@müller.example", "u@listed.org", "u@domain.org", "a@b@asked.org"}) {
    EXPECT_EQ(ask(*t, key), found({"y"})) << key;
  }
  for (const auto* key : {"u@x.org", "domain.org", "@domain.org", "u", ""}) {
    EXPECT_EQ(ask(*t, key), Answer(Absent{})) << key;
  }
  EXPECT_EQ(ask(*t, "u@any.org"), found({"y"})) << "static: matches every domain";
}

TEST_F(SqliteTables, AreUnavailableWhenATableOfTheirListIs) {
  write("/gone.cf", "dbpath = /gone.db\nquery = SELECT 1");
  EXPECT_THAT(why(ask(*with("query = SELECT 'y'\ndomain = a.org sqlite:/gone.cf"), "u@b.org")),
              HasSubstr("/gone.db"));
  EXPECT_EQ(ask(*with("query = SELECT 'y'\ndomain = a.org sqlite:/gone.cf"), "u@a.org"),
            found({"y"}));
  write("/self.cf", "dbpath = " + path_ + "\nquery = SELECT 1\ndomain = sqlite:/self.cf");
  EXPECT_THAT(refusal("sqlite:/self.cf"), HasSubstr("nested too deeply"));
}

}  // namespace
}  // namespace lmtpd::lookup
