#include "lookup/pgsql_hosts.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace lmtpd::lookup {
namespace {

using testing::HasSubstr;
using testing::Not;

Result<std::vector<PgsqlHost>> parse(std::string hosts, std::string dbname = "mails") {
  return parse_pgsql_hosts({std::move(hosts), "reader", "s3cret", std::move(dbname), "UTF8"});
}

std::string keyword(const PgsqlHost& host, std::string_view name) {
  const auto found = std::find_if(host.parameters.begin(), host.parameters.end(),
                                  [&](const auto& one) { return one.first == name; });
  return found == host.parameters.end() ? "(none)" : found->second;
}

struct Entry {
  std::string hosts;
  std::string host;
  std::string port;
  std::string name;  // to resolve
  std::string shown;
};
class PgsqlHosts : public testing::TestWithParam<Entry> {};

TEST_P(PgsqlHosts, AreReadAsPostfixReadsThem) {
  const auto hosts = parse(GetParam().hosts);
  ASSERT_TRUE(hosts) << hosts.error().text;
  ASSERT_EQ(hosts->size(), 1U);
  const PgsqlHost& host = hosts->front();
  EXPECT_EQ(keyword(host, "host"), GetParam().host);
  EXPECT_EQ(keyword(host, "port"), GetParam().port);
  EXPECT_EQ(host.name, GetParam().name);
  EXPECT_EQ(host.shown, GetParam().shown);
  EXPECT_EQ(keyword(host, "client_encoding"), "UTF8");
}

INSTANTIATE_TEST_SUITE_P(
    Forms, PgsqlHosts,
    testing::Values(
        Entry{"db", "db", "(none)", "db", "db"},
        Entry{" db.example:5433 ", "db.example", "5433", "db.example", "db.example:5433"},
        Entry{"inet:db:1", "db", "1", "db", "db:1"},
        Entry{"192.0.2.1:5432", "192.0.2.1", "5432", "", "192.0.2.1:5432"},
        Entry{"[2001:db8::1]:5432", "2001:db8::1", "5432", "", "2001:db8::1:5432"},
        Entry{"unix:/run/postgresql", "/run/postgresql", "(none)", "", "/run/postgresql"},
        Entry{"/run/postgresql:5433", "/run/postgresql", "5433", "", "/run/postgresql:5433"},
        Entry{"postgresql://h:7/d", "h", "7", "h", "h:7"},
        Entry{"postgres://u:p@192.0.2.1/d", "192.0.2.1", "(none)", "", "192.0.2.1"},
        Entry{"postgresql:///d?host=/run/pg", "/run/pg", "(none)", "", "/run/pg"},
        Entry{"postgresql:///d", "(none)", "(none)", "", "the default socket"},
        Entry{"postgresql://h/d?hostaddr=192.0.2.9", "h", "(none)", "", "h"}));

TEST(PgsqlHostList, KeepsTheOrder) {
  const auto hosts = parse("b:1,a\t/s postgresql:///d?host=x%2Cy&port=2%2C3");
  ASSERT_TRUE(hosts);
  std::string shown;
  for (const PgsqlHost& host : *hosts) shown += host.shown + " ";
  EXPECT_EQ(shown, "b:1 a /s x:2 y:3 ");
}

TEST(PgsqlHostList, PairsHostsAndAddresses) {
  struct Case {
    std::string uri;
    std::string entries;  // host|hostaddr|port|name that must be resolved
  };
  for (const Case& one : {
           Case{"postgresql:///d?hostaddr=192.0.2.1%2C192.0.2.2",
                "(none)|192.0.2.1|(none)| (none)|192.0.2.2|(none)| "},
           Case{"postgresql:///d?host=a%2Cb&hostaddr=192.0.2.1%2C192.0.2.2&port=5433",
                "a|192.0.2.1|5433| b|192.0.2.2|5433| "},
           Case{"postgresql:///d?host=a%2Cb&hostaddr=192.0.2.1%2C&port=1%2C2",
                "a|192.0.2.1|1| b|(none)|2|b "},
       }) {
    const auto hosts = parse(one.uri);
    ASSERT_TRUE(hosts) << hosts.error().text;
    std::string entries;
    for (const PgsqlHost& host : *hosts) {
      entries += keyword(host, "host") + "|" + keyword(host, "hostaddr") + "|" +
                 keyword(host, "port") + "|" + host.name + " ";
    }
    EXPECT_EQ(entries, one.entries) << one.uri;
  }
  EXPECT_EQ(parse("postgresql:///d?hostaddr=192.0.2.1%2C192.0.2.2&port=7")->at(1).shown,
            "192.0.2.2:7");
  for (const std::string query : {"host=a%2Cb&hostaddr=192.0.2.1", "host=a&hostaddr=::1%2C::2"}) {
    EXPECT_EQ(parse("postgresql://u:s3cret@/d?" + query).error().text,
              "a URI has not as many addresses as hosts");
  }
}

TEST(PgsqlHostList, PassesTheLoginToPlainHostsOnly) {
  const auto hosts =
      parse("h postgresql://u:p@h/d?application_name=x&keepalives_idle=5&sslmode=verify-full");
  ASSERT_TRUE(hosts);
  EXPECT_EQ(keyword(hosts->at(0), "user"), "reader");
  EXPECT_EQ(keyword(hosts->at(0), "password"), "s3cret");
  EXPECT_EQ(keyword(hosts->at(0), "dbname"), "mails");
  EXPECT_EQ(keyword(hosts->at(0), "fallback_application_name"), "lmtpd");
  EXPECT_EQ(keyword(hosts->at(0), "gssencmode"), "disable");
  EXPECT_EQ(keyword(hosts->at(0), "keepalives_idle"), "30");
  EXPECT_EQ(keyword(hosts->at(1), "user"), "u");
  EXPECT_EQ(keyword(hosts->at(1), "dbname"), "d");
  EXPECT_EQ(keyword(hosts->at(1), "application_name"), "x");
  EXPECT_EQ(keyword(hosts->at(1), "gssencmode"), "disable");
  EXPECT_EQ(keyword(hosts->at(1), "keepalives_idle"), "5");
  EXPECT_EQ(keyword(hosts->at(1), "sslmode"), "verify-full");
}

TEST(PgsqlHostList, RefusesWithoutShowingAPassword) {
  EXPECT_EQ(parse(" , ").error().text, "names no host");
  EXPECT_EQ(parse("h", "").error().text, "needs a dbname");
  EXPECT_TRUE(parse("postgresql:///d", ""));
  EXPECT_EQ(parse("h:x").error().text, "\"h:x\": \"x\" is no port");
  EXPECT_FALSE(parse("h:70000"));
  EXPECT_FALSE(parse("[::1]5432"));
  EXPECT_EQ(parse("postgresql://u:s3cret@/d?host=h%2Cg&port=1%2C2%2C3").error().text,
            "a URI has not as many ports as hosts");
  EXPECT_EQ(parse("postgresql://u:s3cret@h:1,g:2/d").error().text, "\"g:2/d\": \"2/d\" is no port");
  EXPECT_THAT(parse("postgresql://u:s3cret%zz@h/d").error().text, Not(HasSubstr("s3cret")));
  EXPECT_FALSE(parse("postgresql://u:s3cret@h/d?nonsense=1"));
}

}  // namespace
}  // namespace lmtpd::lookup
