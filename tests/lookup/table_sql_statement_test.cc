// Templates and what becomes of them: the prepared text and its parameters, or "text" for those
// that are sent as text for each lookup.
#include <gtest/gtest.h>

#include "lookup/sql_statement.h"

namespace lmtpd::lookup {
namespace {

constexpr std::string_view kText = "text";
constexpr std::string_view kKey = "u.ser@mail.example.com";

struct Case {
  std::string_view query;
  std::string_view prepared;
  std::vector<std::string> parameters;
};

SqlStatement statement(std::string_view query, SqlDialect dialect) {
  return SqlStatement(Template::parse(query).value(), dialect);
}

void expect(const Case& c, SqlDialect dialect) {
  const SqlStatement s = statement(c.query, dialect);
  EXPECT_EQ(s.can_prepare() ? s.prepared_text() : kText, c.prepared) << c.query;
  if (!s.can_prepare()) return;
  EXPECT_EQ(s.parameters(Parts(kKey)), c.parameters) << c.query;
}

class PostgresqlStatement : public testing::TestWithParam<Case> {};
TEST_P(PostgresqlStatement, IsPrepared) { expect(GetParam(), SqlDialect::postgresql); }

class SqliteStatement : public testing::TestWithParam<Case> {};
TEST_P(SqliteStatement, IsPrepared) { expect(GetParam(), SqlDialect::sqlite); }

const std::string kWhole(kKey);

INSTANTIATE_TEST_SUITE_P(
    Placeholders, PostgresqlStatement,
    testing::Values(
        Case{"SELECT a FROM t WHERE k='%s' ", "SELECT a FROM t WHERE k=$1 ", {kWhole}},
        Case{"SELECT '%u', '%d', '%S'", "SELECT $1, $2, $3", {"u.ser", "mail.example.com", kWhole}},
        Case{"SELECT '%1.%2.%3'", "SELECT $1", {"com.example.mail"}},
        Case{"WHERE k = '@%d'", "WHERE k = $1", {"@mail.example.com"}},
        Case{"WHERE k='%u'||'@'||d", "WHERE k=$1||'@'||d", {"u.ser"}},
        Case{"WHERE k LIKE '%%%u%%'", "WHERE k LIKE $1", {"%u.ser%"}},
        Case{"WHERE k='it''s %u'''", "WHERE k=$1", {"it's u.ser'"}},
        Case{"WHERE k LIKE'%s'AND true", "WHERE k LIKE $1 AND true", {kWhole}},
        Case{"SELECT '%s'::citext", "SELECT $1::citext", {kWhole}},
        Case{"SELECT e'%u', E'it''s %d'", "SELECT $1, $2", {"u.ser", "it's mail.example.com"}},
        Case{"SELECT E'a\\'b', '%u'", "SELECT E'a\\'b', $1", {"u.ser"}},
        Case{"SELECT type'%u'", "SELECT type $1", {"u.ser"}}, Case{"SELECT 1", "SELECT 1", {}}));

INSTANTIATE_TEST_SUITE_P(
    QuotesThatAreNoLiterals, PostgresqlStatement,
    testing::Values(
        Case{"SELECT \"it's\" FROM t WHERE k='%u'", "SELECT \"it's\" FROM t WHERE k=$1", {"u.ser"}},
        Case{"SELECT \"a\"\"'b\", '%u'", "SELECT \"a\"\"'b\", $1", {"u.ser"}},
        Case{"SELECT 1 -- it's\n WHERE k='%u'", "SELECT 1 -- it's\n WHERE k=$1", {"u.ser"}},
        Case{"SELECT /* it's /* nested ' */ */ '%u'",
             "SELECT /* it's /* nested ' */ */ $1",
             {"u.ser"}},
        Case{"SELECT $$it's$$, $a$ $$ ' $a$, '%u'", "SELECT $$it's$$, $a$ $$ ' $a$, $1", {"u.ser"}},
        Case{"SELECT a$b, c$d, '%u'", "SELECT a$b, c$d, $1", {"u.ser"}},
        Case{"SELECT 5-3, 6/2, '%u'", "SELECT 5-3, 6/2, $1", {"u.ser"}}));

INSTANTIATE_TEST_SUITE_P(Uncertain, PostgresqlStatement,
                         testing::Values(Case{"SELECT a FROM t WHERE id=%u", kText, {}},        //
                                         Case{"SELECT a FROM \"%d\" WHERE k='%u'", kText, {}},  //
                                         Case{"SELECT '%u' -- %s", kText, {}},                  //
                                         Case{"SELECT '%u' /* %s */", kText, {}},               //
                                         Case{"SELECT $$%s$$", kText, {}},                      //
                                         Case{"SELECT $x$ '%s' $x$", kText, {}},                //
                                         Case{"SELECT $1, '%s'", kText, {}},                    //
                                         Case{"SELECT E'\\n%s'", kText, {}},                    //
                                         Case{"SELECT E'\\%s'", kText, {}},                     //
                                         Case{"SELECT 'a\\b', '%s'", kText, {}},                //
                                         Case{"SELECT '\\%s'", kText, {}},                      //
                                         Case{"SELECT U&'%s', N'x'", kText, {}},                //
                                         Case{"SELECT B'%s'", kText, {}},                       //
                                         Case{"SELECT '%s", kText, {}},                         //
                                         Case{"SELECT '%s' /* open", kText, {}},                //
                                         Case{"SELECT '%s' \"open", kText, {}},                 //
                                         Case{"SELECT '%s' $q$open", kText, {}}));

// Queries of PostfixAdmin, iRedMail, ISPmail, Modoboa and vmm as their documentation has them.
INSTANTIATE_TEST_SUITE_P(
    SchemasInUse, PostgresqlStatement,
    testing::Values(
        Case{"SELECT domain FROM domain WHERE domain='%s' and backupmx = false and active = true",
             "SELECT domain FROM domain WHERE domain=$1 and backupmx = false and active = true",
             {kWhole}},
        Case{"SELECT goto FROM alias,alias_domain WHERE alias_domain.alias_domain='%d' and "
             "alias.address='%u'||'@'||alias_domain.target_domain AND alias.active AND "
             "alias_domain.active",
             "SELECT goto FROM alias,alias_domain WHERE alias_domain.alias_domain=$1 and "
             "alias.address=$2||'@'||alias_domain.target_domain AND alias.active AND "
             "alias_domain.active",
             {"mail.example.com", "u.ser"}},
        Case{"SELECT REPLACE(transport,'virtual',':') AS transport FROM domain WHERE domain='%s' "
             "AND "
             "active",
             "SELECT REPLACE(transport,'virtual',':') AS transport FROM domain WHERE domain=$1 AND "
             "active",
             {kWhole}},
        Case{"SELECT forwardings.forwarding FROM forwardings,alias_domain WHERE "
             "forwardings.address=('%u'||'@'||alias_domain.target_domain) AND "
             "alias_domain.alias_domain='%d'",
             "SELECT forwardings.forwarding FROM forwardings,alias_domain WHERE "
             "forwardings.address=($1||'@'||alias_domain.target_domain) AND "
             "alias_domain.alias_domain=$2",
             {"u.ser", "mail.example.com"}},
        Case{"SELECT forwardings.forwarding FROM forwardings,domain WHERE forwardings.address='%d' "
             "AND "
             "'%u' NOT LIKE '%%+%%' AND forwardings.address=domain.domain",
             "SELECT forwardings.forwarding FROM forwardings,domain WHERE forwardings.address=$1 "
             "AND "
             "$2 NOT LIKE '%+%' AND forwardings.address=domain.domain",
             {"mail.example.com", "u.ser"}},
        Case{"SELECT (mailbox.storagenode||'/'||mailbox.maildir||'/Maildir/') FROM mailbox WHERE "
             "mailbox.username='%s'",
             "SELECT (mailbox.storagenode||'/'||mailbox.maildir||'/Maildir/') FROM mailbox WHERE "
             "mailbox.username=$1",
             {kWhole}},
        Case{"SELECT 1 FROM virtual_users WHERE email='%s'",
             "SELECT 1 FROM virtual_users WHERE email=$1",
             {kWhole}},
        Case{"SELECT dom.name FROM admin_domain dom INNER JOIN admin_domainalias domal ON "
             "dom.id=domal.target_id WHERE domal.name='%s' AND domal.enabled AND dom.enabled",
             "SELECT dom.name FROM admin_domain dom INNER JOIN admin_domainalias domal ON "
             "dom.id=domal.target_id WHERE domal.name=$1 AND domal.enabled AND dom.enabled",
             {kWhole}},
        Case{"SELECT destination FROM postfix_virtual_alias_map('%u', '%d')",
             "SELECT destination FROM postfix_virtual_alias_map($1, $2)",
             {"u.ser", "mail.example.com"}}));

INSTANTIATE_TEST_SUITE_P(
    Lexis, SqliteStatement,
    testing::Values(Case{"SELECT a FROM t WHERE k='%s' ", "SELECT a FROM t WHERE k=?1 ", {kWhole}},
                    Case{"SELECT 'a\\', '\\%u'", "SELECT 'a\\', ?1", {"\\u.ser"}},
                    Case{"SELECT [it's], `it's`, '%u'", "SELECT [it's], `it's`, ?1", {"u.ser"}},
                    Case{"SELECT /* /* */ '%u'", "SELECT /* /* */ ?1", {"u.ser"}},
                    Case{"SELECT k->>'$.x', '%u'", "SELECT k->>'$.x', ?1", {"u.ser"}},
                    Case{"SELECT x'%u'", kText, {}},     //
                    Case{"SELECT ?, '%u'", kText, {}},   //
                    Case{"SELECT :a, '%u'", kText, {}},  //
                    Case{"SELECT CASE?1 WHEN '%u' THEN 2 END", kText, {}},
                    Case{"SELECT #a, '%u'", kText, {}},
                    Case{"SELECT a FROM t WHERE k='%u' AND@a", kText, {}},
                    Case{"SELECT a FROM t WHERE k='%u' AND:a", kText, {}},
                    Case{"WHERE k=\"%u\"", kText, {}}));

TEST(SqlText, EscapesEachPieceForItsPlace) {
  const auto s = statement("SELECT '%u', E'%d', \"%1\", %2", SqlDialect::postgresql);
  const auto shown = [](std::string_view value, SqlQuoting quoting) {
    return std::optional<std::string>(std::string(value) + "/" +
                                      std::to_string(static_cast<int>(quoting)));
  };
  EXPECT_EQ(s.text_for(Parts("u@b.a"), shown), "SELECT 'u/0', E'b.a/1', \"a/2\", b/3");
  EXPECT_TRUE(s.has_unquoted_placeholder());
  const auto refused = [](std::string_view, SqlQuoting) { return std::optional<std::string>(); };
  EXPECT_EQ(s.text_for(Parts("u@b.a"), refused), std::nullopt);
}

TEST(SqlText, DoesNotExpandWhatTheKeyHolds) {
  const auto s = statement("SELECT '%u-%s'", SqlDialect::postgresql);
  EXPECT_EQ(s.parameters(Parts("%s%d@x")), std::vector<std::string>{"%s%d-%s%d@x"});
}

}  // namespace
}  // namespace lmtpd::lookup
