#include "lookup/check/row_rules.h"

#include <gmock/gmock.h>

#include <string>

namespace lmtpd::lookup {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::StartsWith;

std::string asked_as(const std::string& key) {
  return "never matches: the key is asked for as <" + key + ">";
}

TEST(RowRules, PassOverKeysThatAreAskedFor) {
  for (const char* key : {"user@domain.org", "@domain.org", "domain.org", "user",
                          "strasse@domain.org", "üser@bücher.example", "\"john doe\"@domain.org",
                          "user+ext@domain.org", "o'brien@domain.org", ".domain.org", "*"}) {
    EXPECT_EQ(key_fault(TableRole::mailbox, key), "") << key;
    EXPECT_EQ(key_fault(TableRole::alias, key), "") << key;
  }
}

TEST(RowRules, FindKeysThatAreNeverAskedFor) {
  const std::pair<const char*, std::string> faults[] = {
      {"", "never matches: no key is empty"},
      {"us\xFF@domain.org", "never matches: it is not valid UTF-8"},
      {"user@domain.org\n", "never matches: it has a control character"},
      {" user@domain.org", "never matches: it has a blank at its end"},
      {"user@domain.org ", "never matches: it has a blank at its end"},
      {"Domain.Org", "never matches: keys are folded, it is asked for as <domain.org>"},
      {"straße@domain.org",
       "never matches: keys are folded, it is asked for as <strasse@domain.org>"},
      {"user@domain.org.", "never matches: a domain is asked for without its final dot"},
      {"user@", "never matches: no domain behind the @"},
      {"\"john doe@domain.org", "never matches: its quotes are not balanced"},
      {"\"user\"@domain.org", asked_as("user@domain.org")},
      {"user@ domain.org", "never matches: no address is like that"},
      {"user@domain .org", "never matches: no address is like that"},
  };
  for (const auto& [key, fault] : faults) {
    for (const TableRole role : {TableRole::mailbox, TableRole::alias, TableRole::uid}) {
      EXPECT_EQ(key_fault(role, key), fault) << key;
    }
  }
}

// Mailboxes are asked for without quotes, too; aliases are not.
TEST(RowRules, KnowWhoseKeysAreQuoted) {
  EXPECT_EQ(key_fault(TableRole::mailbox, "jane doe@domain.org"), "");
  EXPECT_EQ(key_fault(TableRole::uid, "us..er@domain.org"), "");
  EXPECT_EQ(key_fault(TableRole::alias, "jane doe@domain.org"),
            asked_as("\"jane doe\"@domain.org"));
  EXPECT_EQ(key_fault(TableRole::alias, "us..er@domain.org"), asked_as("\"us..er\"@domain.org"));
  EXPECT_EQ(address_of_key("jane doe@domain.org")->external(), "\"jane doe\"@domain.org");
  EXPECT_EQ(address_of_key("a@b@domain.org")->external(), "\"a@b\"@domain.org");
  EXPECT_FALSE(address_of_key("user@ domain.org"));
}

TEST(RowRules, FindValuesThatCountAsNone) {
  EXPECT_THAT(row_findings(TableRole::uid, {"user@domain.org", {"1001"}}), IsEmpty());
  EXPECT_THAT(row_findings(TableRole::uid, {"user@domain.org", {std::nullopt, ""}}),
              ElementsAre(Field(&Finding::what, StartsWith("has a NULL")),
                          Field(&Finding::what, StartsWith("has an empty value"))));
  for (const char* domain : {"domain.org", "localhost", "*"}) {
    EXPECT_THAT(row_findings(TableRole::mailbox, {domain, {"dummy"}}), IsEmpty()) << domain;
  }
  EXPECT_THAT(row_findings(TableRole::mailbox, {"user@domain.org", {"dummy"}}),
              ElementsAre(Field(&Finding::what, StartsWith("has a dummy row"))));
}

TEST(RowRules, KnowTheNamesThatUsersLogInWith) {
  for (const char* name : {"joe", "joe@domain.org", "jane doe", "joe@", "ünal", " joe"}) {
    EXPECT_EQ(key_fault(TableRole::password, name), "") << name;
  }
  const std::string asked = "never matches: a user's name is folded, it is asked for as ";
  EXPECT_EQ(key_fault(TableRole::password, "Joe"), asked + "<joe>");
  EXPECT_EQ(key_fault(TableRole::password, "of\uFB01ce"), asked + "<office>");
  EXPECT_EQ(key_fault(TableRole::password, "joe\t"),
            "never matches: no user's name is like that (RFC 4013)");
  EXPECT_EQ(key_fault(TableRole::password, ""), "never matches: no key is empty");
}

// Values of that role are none to be looked at, or shown, here.
TEST(RowRules, LeaveStoredPasswordsAlone) {
  EXPECT_THAT(row_findings(TableRole::password, {"joe", {"{PLAIN}x", "", std::nullopt}}),
              IsEmpty());
}

TEST(RowRules, FindKeysThatDoNotSuitTheirTable) {
  EXPECT_THAT(row_findings(TableRole::transport, {"user@domain.org", {"smtp:"}}),
              ElementsAre(Field(&Finding::what, StartsWith("is a transport row for an address"))));
  for (const TableRole role : {TableRole::alias, TableRole::mailbox}) {
    EXPECT_THAT(row_findings(role, {"abuse", {"user@domain.org"}}),
                ElementsAre(Field(&Finding::what, StartsWith("has no domain"))));
  }
  EXPECT_THAT(row_findings(TableRole::domain, {"localhost", {"1"}}), IsEmpty());
  const auto bare = row_findings(TableRole::alias, {"domain.org", {"user@domain.org"}});
  ASSERT_THAT(bare, ElementsAre(Field(&Finding::what, StartsWith("is a bare domain"))));
  EXPECT_TRUE(bare[0].is_note);
}

}  // namespace
}  // namespace lmtpd::lookup
