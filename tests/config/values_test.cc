#include "lmtpd/base/config/values.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace lmtpd {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

TEST(YesNo, TakesEitherInAnyCaseAndNothingElse) {
  EXPECT_EQ(parse_yes_no("yes"), true);
  EXPECT_EQ(parse_yes_no("YeS"), true);
  EXPECT_EQ(parse_yes_no("NO"), false);
  for (const char* junk : {"", "y", "true", "1", "yes ", "yess", "on",
                           "\x19"
                           "es"}) {
    EXPECT_FALSE(parse_yes_no(junk)) << junk;
  }
}

TEST(Number, TakesDigitsWithinItsRange) {
  EXPECT_EQ(parse_number("0", 0, 10), 0U);
  EXPECT_EQ(parse_number("0010", 0, 10), 10U);
  EXPECT_EQ(parse_number("18446744073709551615", 0, kMost), kMost);
  for (const char* junk : {"", "-1", "+1", " 1", "1 ", "1k", "0x10", "1.5", "11",
                           "18446744073709551616", "99999999999999999999999999"}) {
    EXPECT_FALSE(parse_number(junk, 0, 10)) << junk;
  }
  EXPECT_EQ(parse_number("0", 1, 5).error(), "0 is not between 1 and 5");
  EXPECT_EQ(parse_number("10M", 1, 5).error(), "\"10M\" is not a number in digits alone");
}

TEST(Mode, IsOctal) {
  EXPECT_EQ(parse_mode("0660"), 0660U);
  EXPECT_EQ(parse_mode("666"), 0666U);
  EXPECT_EQ(parse_mode("0"), 0U);
  for (const char* junk : {"", "0668", "1777", "rw", "-1", "0o660", "7777777777777777777777777"}) {
    EXPECT_FALSE(parse_mode(junk)) << junk;
  }
}

TEST(Time, TakesPostfixsUnitsAndMilliseconds) {
  const auto time = [](std::string_view text) { return parse_time(text, 0ms, 10'000h); };
  EXPECT_EQ(time("0"), 0ms);
  EXPECT_EQ(time("250ms"), 250ms);
  EXPECT_EQ(time("5"), 5'000ms);
  EXPECT_EQ(time("5s"), 5'000ms);
  EXPECT_EQ(time("30m"), 30min);
  EXPECT_EQ(time("1h"), 1h);
  EXPECT_EQ(time("2d"), 48h);
  EXPECT_EQ(time("1w"), 168h);
  for (const char* junk :
       {"", "s", "ms", "-1s", "+1s", " 1s", "1 s", "1S", "1y", "1h30m", "1.5s", "1mss"}) {
    EXPECT_THAT(time(junk) ? "" : time(junk).error(), HasSubstr("is not a time")) << junk;
  }
}

TEST(Time, RefusesWhatIsOutOfRangeOrOverflows) {
  EXPECT_EQ(parse_time("61s", 1ms, 1min).error(), "61s is not between 1ms and 1m");
  EXPECT_EQ(parse_time("0", 1ms, 1min).error(), "0 is not between 1ms and 1m");
  for (const char* huge :
       {"18446744073709551615", "18446744073709551616w", "30500568904944w", "18446744073709552s"}) {
    EXPECT_FALSE(parse_time(huge, 0ms, 1h)) << huge;
  }
}

TEST(List, SplitsAtCommasAndBlanksButNotWithinBraces) {
  EXPECT_THAT(*split_list(" a, b\tc,,\r\nd "), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(*split_list("inline:{a=b, {c = d e}} , {x y}z"),
              ElementsAre("inline:{a=b, {c = d e}}", "{x y}z"));
  EXPECT_THAT(*split_list("a} b"), ElementsAre("a}", "b"));
  EXPECT_THAT(*split_list(" , "), IsEmpty());
  EXPECT_FALSE(split_list("a {b c"));
}

TEST(Braced, IsWhatOnePairAroundTheWholeHolds) {
  EXPECT_EQ(braced("{a} {b}"), std::nullopt);
  EXPECT_EQ(braced("{a"), std::nullopt);
  EXPECT_EQ(braced(" { {a} } "), "{a}");
}

std::string shown(std::string_view text) {
  const auto tables = parse_table_list(text);
  if (!tables) return "ERROR " + tables.error();
  std::string out;
  for (const TableRef& table : *tables) out += "[" + table.text() + "]";
  return out;
}

TEST(Tables, TakesTheTypesThatAreBuilt) {
  EXPECT_EQ(shown("pgsql:/a.cf, proxy:pgsql:/b.cf sqlite:/c.cf"),
            "[pgsql:/a.cf][pgsql:/b.cf][sqlite:/c.cf]");
  EXPECT_EQ(shown("static:1001 static:{a b}, inline:{ a=b, c=d } texthash:/t"),
            "[static:1001][static:{a b}][inline:{ a=b, c=d }][texthash:/t]");
  EXPECT_EQ(shown("hash:/a btree:/b,lmdb:/c cdb:/d"), "[hash:/a][btree:/b][lmdb:/c][cdb:/d]");
  EXPECT_EQ(shown(""), "");
}

TEST(Tables, SaysWhatToDoAboutOthers) {
  for (const char* other : {"mysql:/a.cf", "regexp:/x", "proxy:ldap:/x", "unix:passwd.byname",
                            "PGSQL:/a", ":/x", "proxy:proxy:pgsql:/x"}) {
    EXPECT_THAT(shown(other), HasSubstr("Set the parameter in lmtpd.cf")) << other;
  }
  EXPECT_THAT(shown("regexp:/x"), HasSubstr("write the addresses out"));
  EXPECT_THAT(shown("unionmap:{static:a}"), HasSubstr("name the tables themselves"));
  EXPECT_THAT(shown("dbm:/x"), HasSubstr("postmap -s"));
  EXPECT_THAT(shown("/etc/aliases"), HasSubstr("type:name"));
  EXPECT_THAT(shown("pgsql"), HasSubstr("type:name"));
  EXPECT_THAT(shown("pgsql:"), HasSubstr("nothing stands behind"));
  EXPECT_THAT(shown("pgsql:virtual"), HasSubstr("must be absolute; move its parameters"));
  EXPECT_THAT(shown("hash:virtual"), HasSubstr("must be absolute"));
  EXPECT_THAT(shown("inline:a=b"), HasSubstr("inline:{key=value, {key = text}}"));
}

TEST(Matches, TakesNamesFilesTablesAndNegation) {
  const auto items =
      parse_match_list("a.org, !b.org /etc/domains !!c.org [192.0.2.1:1] !pgsql:/d.cf");
  ASSERT_TRUE(items) << items.error();
  ASSERT_EQ(items->size(), 6U);
  EXPECT_EQ((*items)[0], (MatchItem{.name = "a.org"}));
  EXPECT_EQ((*items)[1], (MatchItem{.negated = true, .name = "b.org"}));
  EXPECT_EQ((*items)[2], (MatchItem{.kind = MatchItem::Kind::file, .name = "/etc/domains"}));
  EXPECT_EQ((*items)[3], (MatchItem{.name = "c.org"}));
  EXPECT_EQ((*items)[4], (MatchItem{.name = "[192.0.2.1:1]"}));
  EXPECT_EQ((*items)[5], (MatchItem{.kind = MatchItem::Kind::table,
                                    .negated = true,
                                    .table = {TableKind::pgsql, "pgsql", "/d.cf"}}));
  EXPECT_FALSE(parse_match_list("a !"));
  EXPECT_FALSE(parse_match_list("mysql:/x"));
}

TEST(TlsProtocols, AreARangeFromTls12On) {
  using enum TlsVersion;
  EXPECT_EQ(parse_tls_versions(""), (TlsVersions{tls_1_2, tls_1_3}));
  EXPECT_EQ(parse_tls_versions(">=TLSv1.3"), (TlsVersions{tls_1_3, tls_1_3}));
  EXPECT_EQ(parse_tls_versions(">=TLSv1.2, <=TLSv1.2"), (TlsVersions{tls_1_2, tls_1_2}));
  for (const char* junk : {"TLSv1.2", ">=TLSv1.1", "!SSLv3", ">=", "=", ">TLSv1.2", ">=tlsv1.2",
                           ">=TLSv1.3 <=TLSv1.2"}) {
    EXPECT_FALSE(parse_tls_versions(junk)) << junk;
  }
}

std::string listener(std::string_view text) {
  const auto specs = parse_listen_list(text, "/var/spool/postfix");
  if (!specs) return "ERROR " + specs.error();
  std::string out;
  for (const ListenSpec& spec : *specs) {
    out += spec.kind == ListenSpec::Kind::unix_socket
               ? fmt::format("<{}>", spec.path)
               : fmt::format("<{} {}>", spec.host, spec.port);
  }
  return out;
}

TEST(Listen, TakesUnixAndInetSockets) {
  EXPECT_EQ(listener("unix:private/dovecot-lmtp"), "</var/spool/postfix/private/dovecot-lmtp>");
  EXPECT_EQ(listener("unix:/run/x, inet:mx.example.org inet:192.0.2.1:2424"),
            "</run/x><mx.example.org 24><192.0.2.1 2424>");
  EXPECT_EQ(listener("inet:[::1] inet:[::1]:1024 inet:[127.0.0.1]:24 inet:*:24"),
            "<::1 24><::1 1024><127.0.0.1 24><* 24>");
  EXPECT_EQ(listener("{inet:[::1]:24} { unix:a }"), "<::1 24></var/spool/postfix/a>");
}

TEST(Listen, RefusesEverythingElse) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "no listener"},
      {"{}", "no listener"},
      {"private/x", "write unix:PATH"},
      {"ssl:*:24", "write unix:PATH, inet:HOST[:PORT] or inets:HOST"},
      {"inets:24", "no host"},
      {"inets:a:25", "port 25"},
      {"inet:a inets:a", "listed twice"},
      {"unix:", "path is missing"},
      {"unix:private/", "cannot be the path"},
      {"unix:../x", "cannot be the path"},
      {"inet:", "no host"},
      {"inet::24", "no host"},
      {"inet:24", "no host"},
      {"inet:a b", "write unix:PATH"},
      {"inet:::1", "stands in brackets"},
      {"inet:::1:24", "stands in brackets"},
      {"inet:[::1", "not closed"},
      {"inet:[::g]:24", "no address"},
      {"inet:[::1]24", "a port is expected"},
      {"inet:a:", "port"},
      {"inet:a:0", "port"},
      {"inet:a:65536", "port"},
      {"inet:a:lmtp", "port"},
      {"inet:a:25", "port 25"},  // A19
      {"inet:[::1]:25", "port 25"},
      {"{inet:a:24 tls=yes}", "tls: \"yes\" is none of: none, may, encrypt"},
      {"{inet:a:24 tls=}", "tls: \"\" is none of"},
      {"{inet:a:24 auth=maybe}", "auth: \"maybe\" is neither yes nor no"},
      {"{inet:a:24, proxy}", "\"proxy\" is no option of a listener"},
      {"{inet:a:24, proxy=1}", "proxy: \"1\" is neither"},
      {"{inet:a:24 TLS=may}", "\"TLS=may\" is no option"},
      {"{inet:a:24 tls=may tls=none}", "tls= is given twice"},
      {"{inets:a:24 tls=encrypt}", "TLS from the first octet"},
      {"{unix:a tls=may}", "a unix socket has no option \"tls\""},
      {"{unix:a auth=no}", "a unix socket has no option \"auth\""},
      {"{unix:a proxy=yes}", "a unix socket has no option \"proxy\""},
      {"{tls=may inet:a:24}", "is no listener"},
      {"{inet:a:24", "not closed"},
      {"unix:a unix:/var/spool/postfix/a", "listed twice"},
      {"inet:a inet:a:24", "listed twice"},
  };
  for (const auto& [text, what] : cases) {
    EXPECT_THAT(listener(text), HasSubstr("ERROR")) << text;
    EXPECT_THAT(listener(text), HasSubstr(what)) << text;
  }
}

TEST(Listen, TakesOptionsInBraces) {
  const auto options = [](std::string_view text) {
    const auto spec = parse_listen_spec(text, "/q");
    return spec ? spec->options : ListenOptions{.proxy = true};
  };
  EXPECT_EQ(options("inet:[::1]:24"), (ListenOptions{}));
  EXPECT_EQ(options("{inet:[::1]:24 tls=encrypt auth=yes proxy=yes}"),
            (ListenOptions{TlsLevel::encrypt, true, true}));
  EXPECT_EQ(options("{ inet:*, tls=none, proxy=no , auth=no }"),
            (ListenOptions{TlsLevel::none, false, false}));
  EXPECT_EQ(options("{inet:* tls=may}").tls, TlsLevel::may);
  EXPECT_EQ(options("{inets:* auth=no}"), (ListenOptions{std::nullopt, false, false}));
  EXPECT_EQ(parse_listen_spec("inets:mx:465", "/q")->kind, ListenSpec::Kind::inets);
}

TEST(Listen, HoldsPathsToWhatASocketAddressTakes) {
  EXPECT_EQ(listener("unix:/" + std::string(102, 'x')), "</" + std::string(102, 'x') + ">");
  EXPECT_THAT(listener("unix:/" + std::string(103, 'x')), HasSubstr("at most 103"));
}

}  // namespace
}  // namespace lmtpd
