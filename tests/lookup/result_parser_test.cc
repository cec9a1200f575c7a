#include "lookup/result_parser.h"

#include <gtest/gtest.h>

namespace lmtpd::lookup {
namespace {

std::string parsed(std::string_view text, const RewriteRules& rules = {"origin.test", "", true}) {
  std::string out;
  for (const PlainAddress& address : parse_result(text, rules)) {
    if (!out.empty()) out += " | ";
    out += address.external();
  }
  return out;
}

TEST(ResultParser, TakesAddressListsAsPostfixDoes) {
  const std::pair<std::string, std::string> cases[] = {
      {"a@x.org", "a@x.org"},
      {"a@x.org,b@y.org", "a@x.org | b@y.org"},
      {"a@x.org b@y.org", "a@x.org | b@y.org"},  // p1
      {"a@x.org\nb@y.org\tc@z.org", "a@x.org | b@y.org | c@z.org"},
      {"a@x.org;b@y.org", "a@x.org | b@y.org"},                              // p6
      {"a@x.org,,b@y.org,", "a@x.org | b@y.org"},                            // p7
      {"\"User Name\" <a@x.org>, User Two <b@y.org>", "a@x.org | b@y.org"},  // p2
      {"<a@x.org> <b@y.org>", "a@x.org | b@y.org"},
      {"<a@x.org> b@y.org", "a@x.org | b@y.org"},
      {"a@x.org (comment)", "a@x.org"},  // p3
      {"(one (two) \\) three) a@x.org", "a@x.org"},
      {"list: a@x.org, b@y.org;", "a@x.org | b@y.org"},  // p4
      {"c@z.org, list: a@x.org; d@z.org", "c@z.org | a@x.org | d@z.org"},
      {" a@x.org ", "a@x.org"},  // p12
      {"a @ x . org", "a@x.org"},
      {"\"john doe\"@x.org", "\"john doe\"@x.org"},
      {"\"user\"@x.org", "user@x.org"},
      {"john\\ doe@x.org", "\"john doe\"@x.org"},
      {"<john doe@x.org>", "\"john doe\"@x.org"},
      {"\"a,b\"@x.org", "\"a,b\"@x.org"},
      {"a@[192.0.2.1]", "a@[192.0.2.1]"},
      {"<@relay.org,@other.org:a@x.org>", "a@x.org"},
      {"a@b@x.org", "\"a@b\"@x.org"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(parsed(text), expected) << text;
}

TEST(ResultParser, CompletesAddressesAsTrivialRewriteDoes) {
  EXPECT_EQ(parsed("user"), "user@origin.test");
  EXPECT_EQ(parsed("user", {}), "user");
  EXPECT_EQ(parsed("a@x.org."), "a@x.org");       // p11
  EXPECT_EQ(parsed("user%x.org"), "user@x.org");  // p15
  EXPECT_EQ(parsed("user%x.org", {"o.test", "", false}), "user%x.org@o.test");
  EXPECT_EQ(parsed("user%x.org@y.org"), "user%x.org@y.org");
  EXPECT_EQ(parsed("host!user"), "user@host");
  EXPECT_EQ(parsed("host!user@y.org"), "host!user@y.org");
  EXPECT_EQ(parsed("a@host"), "a@host");
  EXPECT_EQ(parsed("a@host", {"o.test", "d.test", true}), "a@host.d.test");
  EXPECT_EQ(parsed("a@[::1]", {"o.test", "d.test", true}), "a@[::1]");
}

// As a delivery through Postfix 3.7's cleanup(8) shows.
TEST(ResultParser, AppendsTheDomainToAnOriginWithoutADotToo) {
  const RewriteRules rules{"nodot", "d.test", true, "mx.test"};
  EXPECT_EQ(parsed("user, a@x.org", rules), "user@nodot.d.test | a@x.org");
  EXPECT_EQ(parsed("user%host", rules), "user@host.d.test");
  EXPECT_EQ(parsed("user@host.", rules), "user@host");
  EXPECT_EQ(parsed("user", {"nodot", "", true, "mx.test"}), "user@nodot");
}

TEST(ResultParser, GivesMailForTheNullAddressToTheMailerDaemon) {
  const RewriteRules rules{"origin.test", "d.test", true, "mx.test"};
  for (const char* null : {"<>", "\"\"", "<@>"}) {
    EXPECT_EQ(parsed(null, rules), "MAILER-DAEMON@mx.test") << null;
  }
  EXPECT_EQ(parsed("a@x.org, @, b@x.org", rules), "a@x.org | MAILER-DAEMON@mx.test | b@x.org");
  EXPECT_EQ(parsed("a@x.org, \"\", b@x.org", rules), "a@x.org | MAILER-DAEMON@mx.test | b@x.org");
  EXPECT_EQ(parsed("a@x.org, <>, b@x.org", rules), "a@x.org | b@x.org");
}

TEST(ResultParser, GivesNoMeaningToCommandsFilesAndIncludes) {
  EXPECT_EQ(parsed("|/bin/cat"), "|/bin/cat@origin.test");
  EXPECT_EQ(parsed("/tmp/x"), "/tmp/x@origin.test");
  EXPECT_EQ(parsed(":include:/etc/passwd"), "\":include:/etc/passwd\"@origin.test");
}

TEST(ResultParser, FindsNoAddressWhereThereIsNone) {
  for (const std::string_view text : {"", "   ", ":,;", ",,", ";", "(only a comment)", "group:;"}) {
    EXPECT_TRUE(parse_result(text, {}).empty()) << text;
  }
}

TEST(ResultParser, SurvivesWhatIsBroken) {
  const std::string cases[] = {"\"open@x.org",
                               "(open a@x.org",
                               "<a@x.org",
                               "a@x.org>",
                               "a@[open",
                               "a\\",
                               ">",
                               "<",
                               ">>>,<<<",
                               "@",
                               "@@",
                               ":",
                               "a:b:c;;:",
                               "((((",
                               "%",
                               "!",
                               "[",
                               "\"",
                               "a@"};
  for (const std::string& text : cases) {
    for (std::size_t size = 0; size <= text.size(); ++size) {
      static_cast<void>(parse_result(text.substr(0, size), {"o.test", "d.test", true}));
    }
  }
}

}  // namespace
}  // namespace lmtpd::lookup
