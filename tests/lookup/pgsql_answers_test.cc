// What PostgreSQL tables answer.
#include "tests/lookup/pgsql_fixture.h"

namespace lmtpd::lookup {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST_F(PgsqlTables, AnswerTheLegacyKeysOfPostfix) {
  const auto t = homes();
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
  EXPECT_EQ(ask(*t, "nobody@domain.org"), Answer(Absent{}));
  EXPECT_EQ(
      ask(*with(login() + "table=users\nselect_field=uid\nwhere_field=userid\n"), "user@foo.org"),
      found({"1002"}));
}

TEST_F(PgsqlTables, DoNotSendKeysThatTheQueryIsNotFor) {
  const auto t = with(login() + "query = SELECT home FROM users WHERE userid = '%u@%d'\n");
  Answers answers;
  for (const std::string_view key : {"user", "@domain.org", "user@", ""}) {
    EXPECT_EQ(t->lookup(key, answers, 1), std::optional<Answer>(Absent{})) << key;
  }
  EXPECT_EQ(t->lookup(std::string_view("user@domain.org\0x", 17), answers, 1),
            std::optional<Answer>(Absent{}));
  EXPECT_EQ(statistics().queries, 0U);
}

TEST_F(PgsqlTables, AnswerEveryColumnOfEveryRowButNullAndEmpty) {
  const auto t =
      with(login() +
           "query = SELECT * FROM (VALUES (1, 'a@x', NULL), (2, '', 'b@x')) AS v(n, a, b)"
           " WHERE '%s' <> '' ORDER BY n DESC\nresult_format = <%s>\n");
  EXPECT_EQ(ask(*t, "k"), found({"<2>", "<b@x>", "<1>", "<a@x>"}));
  testing::internal::CaptureStderr();
  EXPECT_EQ(ask(*with(login() + "query = SELECT NULL, 'x' WHERE '%s' <> ''\n"), "k"), found({"x"}));
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("warning: pgsql:/t1.cf: empty lookup result for \"k\" ignored\n"));
  EXPECT_EQ(ask(*with(login() + "query = SELECT NULL, '' WHERE '%s' <> ''\n"), "k"),
            Answer(Absent{}));
  EXPECT_EQ(ask(*with(login() + "query = SELECT true, 'a '::char(4)\n"), "k"),
            found({"t", "a   "}));
  EXPECT_EQ(ask(*with(login() + "query = SET application_name = 'x'\n"), "k"), Answer(Absent{}));
}

TEST_F(PgsqlTables, AreUnavailableBeyondTheirExpansionLimit) {
  const auto t = with(login() +
                      "query = SELECT generate_series(1, length('%s'))\n"
                      "expansion_limit = 3\n");
  EXPECT_EQ(ask(*t, "abc"), found({"1", "2", "3"}));
  EXPECT_EQ(why(ask(*t, "abcd")),
            t->name() + ": the result for \"abcd\" has more values than expansion_limit = 3");
}

TEST_F(PgsqlTables, SpeakUtf8UnlessToldOtherwise) {
  sql("INSERT INTO users VALUES ('müller@domain.org', 1, 1, 'mü')");
  const std::string query = "query = SELECT home FROM users WHERE userid = '%s'\n";
  EXPECT_EQ(ask(*with(login() + query), "müller@domain.org"), found({"mü"}));
  const auto latin1 = with(login() + "encoding = LATIN1\n" + query);
  EXPECT_EQ(ask(*latin1, "müller@domain.org"), Answer(Absent{}));
  EXPECT_EQ(
      why(ask(*with(login() + "encoding = LATIN1\nquery = SELECT U&'m\\00fc' WHERE '%s'<>''\n"),
              "k")),
      "pgsql:/t2.cf: the result for \"k\" is not valid UTF-8");
}

// Every query has the same meaning for PostgreSQL; the first go with parameters, the others as
// text.
TEST_F(PgsqlTables, FormsAgreeOnHostileKeys) {
  const std::vector<std::string> keys = {
      "o'brien@d",  "back\\slash@d", "per%cent@d", "müller@d", "\"q q\"@d",
      "''@d",       "$1@d",          "%s%u@d",     "a';--@d",  "\\'@d",
      "\\\\''\\@d", "a\nb@d",        "E'\\''/*@d", "$$@d",     "\xf0\x9f\x93\xac@d",
      "{a,\"b}@d",  "x@y@d"};
  sql("CREATE TABLE k (k TEXT, v INTEGER); GRANT SELECT ON k TO mailreader");
  for (std::size_t i = 0; i < keys.size(); ++i) {
    std::string quoted;
    for (const char c : keys[i]) quoted += c == '\'' ? std::string("''") : std::string(1, c);
    sql(fmt::format("INSERT INTO k VALUES ('{}', {})", quoted, i));
  }
  for (const auto* query :
       {"SELECT v FROM k WHERE k='%s'", "SELECT v FROM k WHERE k='%u@%d'",
        "SELECT v FROM k WHERE k=E'%u'||'@'||'%d'", "SELECT v FROM k WHERE k = text '%s'",
        "SELECT v FROM k WHERE k='%s' AND 'a\\b' <> ''",
        "SELECT v FROM k WHERE k=E'%s' AND E'\\x41' = 'A' AND '\\' <> ''",
        "SELECT v AS \"%s\" FROM k WHERE k='%s'"}) {
    for (const auto* conforming : {"on", "off"}) {
      const auto file = fmt::format(
          "hosts = postgresql://mailreader:secret@127.0.0.1:{}/mails?options="
          "-cstandard_conforming_strings%3D{}\nquery = {}\n",
          postgres_.port(), conforming, query);
      // With `off` the last backslash would escape its quote.
      if (std::string_view(conforming) == "off" &&
          std::string_view(query).find("'\\'") != std::string_view::npos) {
        continue;
      }
      const auto answers = ask_all(*with(file), keys);
      for (std::size_t i = 0; i < keys.size(); ++i) {
        EXPECT_EQ(answers[i], found({std::to_string(i)}))
            << query << " for " << keys[i] << ", standard_conforming_strings " << conforming;
      }
    }
  }
}

TEST_F(PgsqlTables, TypeAParameterAsTheLiteralItStandsFor) {
  if (sql("SELECT count(*) FROM pg_available_extensions WHERE name = 'citext'").at(0) == "0") {
    GTEST_SKIP() << "no extension citext (Debian package postgresql-contrib)";
  }
  sql("CREATE EXTENSION citext; CREATE TABLE c (address CITEXT, uid INTEGER);"
      "INSERT INTO c VALUES ('@Domain.ORG', 1001); GRANT SELECT ON c TO mailreader");
  EXPECT_EQ(
      ask(*with(login() + "query = SELECT uid FROM c WHERE address = '@%d'\n"), "u@domain.org"),
      found({"1001"}));
  EXPECT_EQ(ask(*with(login() + "query = SELECT address FROM c WHERE uid = '10%s'\n"), "01"),
            found({"@Domain.ORG"}));
  // Why '@%d' is one parameter: as an expression it would be of type text.
  EXPECT_EQ(
      ask(*with(login() + "query = SELECT uid FROM c WHERE address = '@'||'%d'\n"), "u@domain.org"),
      Answer(Absent{}));
  EXPECT_THAT(
      why(ask(*with(login() + "query = SELECT address FROM c WHERE uid = '10'||'%s'\n"), "01")),
      HasSubstr("operator does not exist: integer = text"));
}

TEST_F(PgsqlTables, SendAsTextWhatPostgresqlDoesNotTakeWithParameters) {
  testing::internal::CaptureStderr();
  const auto t = with(login() + "query = SELECT home FROM users WHERE userid = varchar '%s'\n");
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
  EXPECT_EQ(ask(*t, "nobody@domain.org"), Answer(Absent{}));
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("pgsql:/t0.cf: PostgreSQL does not take the query with parameters (syntax "
                        "error at or near \"$1\" (SQLSTATE 42601)); it is sent as text"));
  EXPECT_EQ(ask(*with(login() + "query = SELECT home FROM users WHERE uid = %u\n"), "1002"),
            found({"foo.org/mails/user"}));
}

TEST_F(PgsqlTables, AnswerUnavailableForWhatTheServerRefusesAndGoOn) {
  sql("CREATE TABLE closed (a TEXT)");
  EXPECT_THAT(why(ask(*with(login() + "query = SELECT a FROM closed WHERE a = '%s'\n"), "k")),
              HasSubstr("permission denied for table closed (SQLSTATE 42501)"));
  EXPECT_THAT(why(ask(*with(login() + "query = SELECT a FROM missing WHERE a = '%s'\n"), "k")),
              HasSubstr("relation \"missing\" does not exist (SQLSTATE 42P01)"));
  EXPECT_THAT(why(ask(*with(login() + "query = SELEKT '%s'\n"), "k")), HasSubstr("SQLSTATE 42601"));
  EXPECT_THAT(why(ask(*with(login() + "query = SELECT 1; SELECT '%s'\n"), "k")),
              HasSubstr("SQLSTATE 42601"));
  EXPECT_THAT(why(ask(*with(login() + "query = SELECT home FROM users WHERE uid = '%s'\n"), "k")),
              AllOf(HasSubstr("invalid input syntax for type integer"), Not(HasSubstr("\"k\""))));
  EXPECT_THAT(why(ask(*with(login() + "query = SELECT 1 / length(substr('%s', 2))\n"), "k")),
              HasSubstr("division by zero"));
  EXPECT_EQ(ask(*homes(), "user@domain.org"), kUserHome);
  EXPECT_EQ(statistics().connections, 1U);
}

TEST_F(PgsqlTables, TakeUpWhatIsMendedInTheDatabase) {
  const auto t = with(login() + "query = SELECT a FROM late WHERE '%s' <> ''\n");
  EXPECT_THAT(why(ask(*t, "k")), HasSubstr("does not exist"));
  sql("CREATE TABLE late AS SELECT 'here' AS a");
  EXPECT_THAT(why(ask(*t, "k")), HasSubstr("permission denied"));
  sql("GRANT SELECT ON late TO mailreader");
  EXPECT_EQ(ask(*t, "k"), found({"here"}));
  const auto f = with(login() + "select_function = made_later\n");
  EXPECT_THAT(why(ask(*f, "k")), HasSubstr("made_later(unknown) does not exist"));
  sql("CREATE FUNCTION made_later(text) RETURNS text LANGUAGE sql AS 'SELECT $1 || ''!'''");
  EXPECT_EQ(ask(*f, "k"), found({"k!"}));
}

TEST_F(PgsqlTables, PrepareAnewWhatHasChangedUnderThem) {
  const auto t = with(login() + "query = SELECT * FROM users WHERE userid = '%s'\n");
  EXPECT_EQ(ask(*t, "user@foo.org"), found({"user@foo.org", "1002", "1002", "foo.org/mails/user"}));
  sql("ALTER TABLE users ADD COLUMN quota TEXT DEFAULT '1G'");
  const std::vector<std::string> keys(5, "user@foo.org");
  for (const Answer& answer : ask_all(*t, keys)) {
    EXPECT_EQ(answer, found({"user@foo.org", "1002", "1002", "foo.org/mails/user", "1G"}));
  }
}

TEST_F(PgsqlTables, GoOnUnnamedWhereTheServerHasForgotten) {
  sql("CREATE FUNCTION forget(text) RETURNS text LANGUAGE plpgsql AS"
      " $$BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN $1; END$$");
  const auto t = homes();
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
  EXPECT_EQ(ask(*with(login() + "select_function = forget\n"), "k"), found({"k"}));
  const std::vector<std::string> keys(5, "user@domain.org");
  for (const Answer& answer : ask_all(*t, keys)) EXPECT_EQ(answer, kUserHome);
  EXPECT_EQ(statistics().connections, 1U);
}

// As behind a pooler that went unnoticed: another client has left a statement of that name.
TEST_F(PgsqlTables, GoOnUnnamedWhereTheNameIsTaken) {
  const std::string text = "SELECT home FROM users WHERE userid = $1";
  sql(
      fmt::format("CREATE FUNCTION other_client(text) RETURNS text LANGUAGE plpgsql AS"
                  " $$BEGIN EXECUTE 'PREPARE lmtpd_2_0_{:x} AS {}'; RETURN $1; END$$",
                  std::hash<std::string>{}(text), text));
  const auto other = with(login() + "select_function = other_client\n");
  const auto t = with(login() + "query = SELECT home FROM users WHERE userid = '%s'\n");
  EXPECT_EQ(ask(*other, "k"), found({"k"}));
  testing::internal::CaptureStderr();
  const std::vector<std::string> keys(5, "user@domain.org");
  for (const Answer& answer : ask_all(*t, keys)) EXPECT_EQ(answer, kUserHome);
  for (const Answer& answer : ask_all(*t, keys)) EXPECT_EQ(answer, kUserHome);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("already exists (SQLSTATE 42P05); queries are not prepared any more"));
}

TEST_F(PgsqlTables, GoUnnamedWhereTheyAreTold) {
  prepare_statements_ = false;
  const auto t = with(superuser() + "query = SELECT home FROM users WHERE userid = '%s'\n");
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
  EXPECT_EQ(ask(*with(superuser() + "query = SELECT count(*) FROM pg_prepared_statements\n"), "k"),
            found({"0"}));
  // What PostgreSQL does not take with parameters, and what it does not take at all.
  EXPECT_EQ(ask(*with(superuser() + "query = SELECT varchar '%s'\n"), "k"), found({"k"}));
  EXPECT_THAT(why(ask(*with(superuser() + "query = SELEKT '%s'\n"), "k")),
              HasSubstr("SQLSTATE 42601"));
  EXPECT_EQ(ask(*t, "nobody@domain.org"), Answer(Absent{}));
}

TEST_F(PgsqlTables, AreCheckedByPreparingTheQuery) {
  const auto check_of = [&](const std::string& text) -> std::string {
    write("/c.cf", text);
    const auto checked = check("pgsql:/c.cf");
    return checked ? "well" : checked.error().text;
  };
  EXPECT_EQ(check_of(login() + "query = SELECT home FROM users WHERE userid = '%s'\n"), "well");
  EXPECT_EQ(check_of(login() + "query = SELECT home FROM users WHERE userid = varchar '%s'\n"),
            "well");
  EXPECT_EQ(check_of(login() + "query = SELECT home FROM users WHERE uid = %u\n"), "well");
  EXPECT_THAT(check_of(login() + "query = SELECT hme FROM users WHERE userid = '%s'\n"),
              HasSubstr("pgsql:/c.cf: column \"hme\" does not exist"));
  EXPECT_THAT(check_of(login() + "query = SELECT 1; SELECT '%s'\n"),
              HasSubstr("cannot insert multiple commands into a prepared statement"));
  EXPECT_THAT(check_of(login() + "query = SELECT nosuch('%s')\n"), HasSubstr("does not exist"));
  EXPECT_THAT(check_of(login("127.0.0.1:1") + "query = SELECT '%s'\n"),
              HasSubstr("Connection refused"));
  EXPECT_EQ(check_of("user = x\nquery = SELECT '%s'\n"), "/c.cf: hosts: needs a dbname");
}

TEST_F(PgsqlTables, AskDomainListsInTheDatabaseToo) {
  sql("CREATE TABLE domains (d TEXT); INSERT INTO domains VALUES ('domain.org');"
      "GRANT SELECT ON domains TO mailreader");
  write("/d.cf", login() + "query = SELECT d FROM domains WHERE d = '%s'\n");
  const auto t = with(login() +
                      "query = SELECT home FROM users WHERE userid = '%s'\n"
                      "domain = !no.org, pgsql:/d.cf\n");
  EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome);
  EXPECT_EQ(ask(*t, "user@foo.org"), Answer(Absent{})) << "its domain is not in the list";
  EXPECT_EQ(ask(*t, "nobody@domain.org"), Answer(Absent{}));
  sql("DROP TABLE domains");
  EXPECT_THAT(why(ask(*t, "user@domain.org")), HasSubstr("pgsql:/d.cf: "));
}

TEST_F(PgsqlTables, ShowNoPassword) {
  const auto t =
      with(fmt::format("hosts = 127.0.0.1:{}\nuser = mailreader\npassword = S3cret\n"
                       "dbname = mails\nquery = SELECT '%s'\n",
                       postgres_.port()));
  EXPECT_THAT(why(ask(*t, "k")), AllOf(HasSubstr("password authentication failed for user"),
                                       Not(HasSubstr("S3cret"))));
  const auto uri =
      with(fmt::format("hosts = postgresql://mailreader:S3cret@127.0.0.1:{}/mails\n"
                       "query = SELECT '%s'\n",
                       postgres_.port()));
  EXPECT_THAT(why(ask(*uri, "k")), AllOf(HasSubstr("password authentication failed for user"),
                                         Not(HasSubstr("S3cret"))));
}

TEST_F(PgsqlTables, TakeEveryFormOfHost) {
  const int port = postgres_.port();
  for (const std::string& hosts :
       {fmt::format("localhost:{}", port), fmt::format("inet:127.0.0.1:{}", port),
        fmt::format("postgres://mailreader:secret@localhost:{}/mails", port),
        fmt::format("unix:{}:{}", postgres_.socket_folder(), port),
        fmt::format("postgresql://mailreader:secret@/mails?host={}&port={}",
                    postgres_.socket_folder(), port)}) {
    const auto t = with(login(hosts) + "query = SELECT home FROM users WHERE userid='%s'\n");
    EXPECT_EQ(ask(*t, "user@domain.org"), kUserHome) << hosts;
  }
}

}  // namespace
}  // namespace lmtpd::lookup
