#include <gtest/gtest.h>

#include "lookup/sql_config.h"

namespace lmtpd::lookup {
namespace {

Template template_of(std::string_view text) {
  auto parsed = Template::parse(text);
  EXPECT_TRUE(parsed) << text;
  return *parsed;
}

std::string format(std::string_view text, std::string_view value, std::string_view key) {
  return template_of(text).format(Parts(value), Parts(key)).value_or("(dropped)");
}

struct Asked {
  std::string_view query;
  std::string_view key;
  bool asked;
};
class QueryTemplate : public testing::TestWithParam<Asked> {};
TEST_P(QueryTemplate, IsSentOnlyForKeysThatFillIt) {
  EXPECT_EQ(template_of(GetParam().query).asks_for(Parts(GetParam().key)), GetParam().asked);
}
INSTANTIATE_TEST_SUITE_P(Keys, QueryTemplate,
                         testing::Values(Asked{"%s", "", false},         //
                                         Asked{"constant", "", false},   //
                                         Asked{"%s", "@d.org", true},    //
                                         Asked{"%d", "user", false},     //
                                         Asked{"%D", "user@", false},    //
                                         Asked{"%d", "user@d", true},    //
                                         Asked{"%u", "@d.org", false},   //
                                         Asked{"%U", "@d.org", false},   //
                                         Asked{"%u", "user", true},      //
                                         Asked{"%d", "@d.org", true},    //
                                         Asked{"%3", "u@d.org", false},  //
                                         Asked{"%2", "u@d.org", true},   //
                                         Asked{"%2", "u@.org", false},   //
                                         Asked{"%1", "u@org.", false},   //
                                         Asked{"%1", "org", false},      //
                                         Asked{"%3", "u@a..org", false}));

TEST(ResultFormat, TakesLowerCaseFromTheValueAndUpperCaseFromTheKey) {
  EXPECT_EQ(format("%s", "v@x", "k@a.b.c"), "v@x");
  EXPECT_EQ(format("%u|%d|%S|%U|%D|%1|%3", "v@x", "k@a.b.c"), "v|x|k@a.b.c|k|a.b.c|c|a");
  EXPECT_EQ(format("%u", "value", "k@d"), "value");
  EXPECT_EQ(format("100%%%s", "%s%u", "k@d"), "100%%s%u");
  EXPECT_EQ(format("lmtp:%s/", "a@b@c", "k"), "lmtp:a@b@c/");
  EXPECT_EQ(format("%u", "a@b@c", "k"), "a@b");
}

TEST(ResultFormat, DropsValuesThatLackWhatItNeeds) {
  EXPECT_EQ(format("%d", "value", "k@d"), "(dropped)");
  EXPECT_EQ(format("%d", "value@", "k@d"), "(dropped)");
  EXPECT_EQ(format("%u", "@x", "k@d"), "(dropped)");
  EXPECT_EQ(format("%s", "", "k@d"), "(dropped)");
  EXPECT_FALSE(template_of("%D").formats_for(Parts("key")));
}

TEST(Template, RefusesOtherPlaceholders) {
  for (const auto* bad : {"%", "100%", "%x", "%0", "LIKE 'foo%'", "% s", "%\n"}) {
    EXPECT_FALSE(Template::parse(bad)) << bad;
  }
  EXPECT_EQ(Template::parse("LIKE 'a%b'").error().text,
            "\"%b\" is no placeholder (a percent sign is written %%)");
}

constexpr std::string_view kSqlParameters[] = {
    "query",        "select_function", "table",
    "select_field", "where_field",     "additional_conditions",
    "domain",       "result_format",   "expansion_limit"};

Result<SqlConfig> config(std::string_view text, SqlDialect dialect = SqlDialect::postgresql) {
  return parse_sql_config(TableFile::parse("/x.cf", text, kSqlParameters).value(), dialect);
}

std::string text_sent(const SqlConfig& c, std::string_view key) {
  const auto verbatim = [](std::string_view value, SqlQuoting) {
    return std::optional<std::string>(value);
  };
  return c.statement.text_for(Parts(key), verbatim).value_or("(not sent)");
}

TEST(SqlConfig, BuildsTheLegacyQueryToTheOctet) {
  const auto plain = config("table=postfix_mailboxes\nselect_field=mailbox\nwhere_field=userid\n");
  ASSERT_TRUE(plain);
  EXPECT_EQ(text_sent(*plain, "user@domain.org"),
            "SELECT mailbox FROM postfix_mailboxes WHERE userid='user@domain.org' ");
  EXPECT_EQ(plain->statement.prepared_text(),
            "SELECT mailbox FROM postfix_mailboxes WHERE userid=$1 ");
  const auto more = config(
      "table = t\nselect_field = a, b\nwhere_field = lower(k)\n"
      "additional_conditions = AND a LIKE 'x%%' LIMIT 1\n");
  ASSERT_TRUE(more);
  EXPECT_EQ(more->statement.prepared_text(),
            "SELECT a, b FROM t WHERE lower(k)=$1 AND a LIKE 'x%' LIMIT 1");
}

TEST(SqlConfig, PrefersQueryThenFunctionThenLegacyKeys) {
  constexpr std::string_view kLegacy = "table=t\nselect_field=s\nwhere_field=w\n";
  const std::string function = std::string(kLegacy) + "select_function = lookup.home\n";
  EXPECT_EQ(config(function)->statement.prepared_text(), "SELECT lookup.home($1)");
  EXPECT_EQ(config(function, SqlDialect::sqlite)->statement.prepared_text(),
            "SELECT s FROM t WHERE w=?1 ");
  EXPECT_EQ(config(function + "query = SELECT 1 WHERE '%s'='x'\n")->statement.prepared_text(),
            "SELECT 1 WHERE $1='x'");
}

TEST(SqlConfig, NamesTheParameterThatIsWrong) {
  EXPECT_EQ(config("domain = x\n").error().text,
            "/x.cf: query: missing (or table, select_field and where_field)");
  EXPECT_EQ(config("table = t\nselect_field = s\n").error().text, "/x.cf: where_field: missing");
  EXPECT_EQ(config("query =\n").error().text, "/x.cf:1: query: empty");
  EXPECT_EQ(config("table=t\nselect_field=s\nwhere_field=w\nadditional_conditions=AND a LIKE 'x%'")
                .error()
                .text,
            "/x.cf:4: additional_conditions: \"%'\" is no placeholder (a percent sign is written "
            "%%)");
  EXPECT_EQ(config("query = SELECT 1\nresult_format = %q").error().text,
            "/x.cf:2: result_format: \"%q\" is no placeholder (a percent sign is written %%)");
}

TEST(SqlConfig, WarnsOfPlaceholdersOutsideQuotes) {
  testing::internal::CaptureStderr();
  ASSERT_TRUE(config("query = SELECT a FROM t WHERE id = %u"));
  EXPECT_NE(
      testing::internal::GetCapturedStderr().find("/x.cf: query: a placeholder stands outside"),
      std::string::npos);
}

using Values = std::vector<std::string>;

TEST(SqlConfig, AnswersEveryValueThatIsNotEmpty) {
  const auto c = config("query = SELECT '%s'");
  EXPECT_EQ(c->answer("k", {"a@x", "", "b@x"}), Answer(Found{{"a@x", "b@x"}}));
  EXPECT_EQ(c->answer("k", {"", ""}), Answer(Absent{}));
  EXPECT_EQ(c->answer("k", {}), Answer(Absent{}));
  EXPECT_EQ(c->answer("k", {"a", "\xff"}),
            Answer(Unavailable{"the result for \"k\" is not valid UTF-8", true}));
}

TEST(SqlConfig, CountsValuesThatRemainAgainstTheLimit) {
  const auto c = config("query = SELECT '%s'\nexpansion_limit = 2\nresult_format = %u");
  EXPECT_EQ(c->answer("k", {"a@x", "@x", "", "b"}), Answer(Found{{"a", "b"}}));
  EXPECT_EQ(
      c->answer("k", {"a", "b", "c"}),
      Answer(Unavailable{"the result for \"k\" has more values than expansion_limit = 2", true}));
}

TEST(SqlConfig, IsNeverAskedForANul) {
  EXPECT_FALSE(config("query = SELECT '%s'")->asks_for(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace lmtpd::lookup
