#include "lmtpd/base/address.h"

#include <gtest/gtest.h>

#include <string>

namespace lmtpd {
namespace {

struct Good {
  std::string text;
  std::string local_part;
  std::string domain;
  std::string external;
};

TEST(Address, TakesWhatPostfixTakes) {
  const std::string z989(989, 'z');
  const Good cases[] = {
      {"user@domain.org", "user", "domain.org", "user@domain.org"},
      {"USER@Domain.Org", "USER", "Domain.Org", "USER@Domain.Org"},
      {"user+ext@domain.org", "user+ext", "domain.org", "user+ext@domain.org"},
      {"\"user+ext\"@domain.org", "user+ext", "domain.org", "user+ext@domain.org"},      // G015
      {"\"john doe\"@domain.org", "john doe", "domain.org", "\"john doe\"@domain.org"},  // G035
      {"\"back\\\\slash\"@d.org", "back\\slash", "d.org", "\"back\\\\slash\"@d.org"},    // G043
      {"\"a\\\"b\"@d.org", "a\"b", "d.org", "\"a\\\"b\"@d.org"},
      {"\"a@b\"@d.org", "a@b", "d.org", "\"a@b\"@d.org"},  // B27
      {"\"jo\\e\"@d.org", "joe", "d.org", "joe@d.org"},
      {"\"a b\".c@d.org", "a b.c", "d.org", "\"a b.c\"@d.org"},
      {"us..er@domain.org", "us..er", "domain.org", "\"us..er\"@domain.org"},  // G038
      {".user@domain.org", ".user", "domain.org", "\".user\"@domain.org"},
      {"user.@domain.org", "user.", "domain.org", "\"user.\"@domain.org"},
      {"\"\"@domain.org", "", "domain.org", "\"\"@domain.org"},       // G031
      {"user@domain.org.", "user", "domain.org", "user@domain.org"},  // G033
      {"user@domain.org..", "user", "domain.org..", "user@domain.org.."},
      {"o'brien@domain.org", "o'brien", "domain.org", "o'brien@domain.org"},     // G040
      {"per%cent@domain.org", "per%cent", "domain.org", "per%cent@domain.org"},  // G045
      {"-dash@domain.org", "-dash", "domain.org", "-dash@domain.org"},           // G048
      {z989 + "@domain.org", z989, "domain.org", z989 + "@domain.org"},          // 1000 octets
      {"m\xC3\xBCller@domain.org", "m\xC3\xBCller", "domain.org", "m\xC3\xBCller@domain.org"},
      {"u@b\xC3\xBC"
       "cher.example",
       "u",
       "b\xC3\xBC"
       "cher.example",
       "u@b\xC3\xBC"
       "cher.example"},
      {"postmaster", "postmaster", "", "postmaster"},                   // G032
      {"domain.org", "domain.org", "", "domain.org"},                   // G029
      {"user@[192.0.2.1]", "user", "[192.0.2.1]", "user@[192.0.2.1]"},  // B28
      {"user@[IPv6:2001:db8::1]", "user", "[IPv6:2001:db8::1]", "user@[IPv6:2001:db8::1]"},
  };
  for (const Good& good : cases) {
    const Result<Address> address = Address::parse(good.text);
    ASSERT_TRUE(address) << good.text << ": " << address.error().text;
    EXPECT_EQ(address->local_part(), good.local_part) << good.text;
    EXPECT_EQ(address->domain(), good.domain) << good.text;
    EXPECT_EQ(address->external(), good.external) << good.text;
  }
}

TEST(Address, RefusesBadSyntax) {
  const std::string cases[] = {
      "",
      "@domain.org",
      "user@",
      "user@.",
      "user';drop-table-users--@domain.org",  // G042
      "user@domain.org@foo.org",              // G047
      "us er@domain.org",
      "user @domain.org",
      "user@domain org",
      "\"user@domain.org",
      "user\"@domain.org",
      "\"user\\",
      "us\\er@domain.org",
      "<user@domain.org>",
      "user@dom(ain).org",
      "user@[192.0.2.1",
      "user@192.0.2.1]",
      "user@[]",
      "user@[a]b]",
      "user@domain.org\r\nX: y",
      "\"a\tb\"@domain.org",
      "\"a\\\tb\"@domain.org",
      "us\x7F"
      "er@domain.org",
      std::string("us\0er@domain.org", 16),
      "@a.org,@b.org:user@c.org",
      std::string(990, 'z') + "@domain.org",   // 1001 octets
      std::string(1100, 'z') + "@domain.org",  // G052
      std::string(1001, 'z'),
  };
  for (const std::string& text : cases) {
    const Result<Address> address = Address::parse(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().reason, Reason::bad_address) << text;
  }
}

TEST(Address, RefusesWhatIsNoUtf8BeforeAnythingElse) {
  for (const std::string text : {"bad\xff\xfe@domain.org", "a b\xff@d.org", "user@d\xC3.org",
                                 "\xED\xA0\x80@d.org", "\xC0\xAF@d.org"}) {
    const Result<Address> address = Address::parse(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().reason, Reason::bad_utf8) << text;  // G057
  }
}

TEST(Address, ExternalFormIsParsedBackToTheSame) {
  const std::string cases[] = {
      "user", "a b", "a\"b\\c", "..", "", "a@b,c;<d>", std::string(994, '"')};
  for (const std::string& local_part : cases) {
    const std::string external = quote_local_part(local_part) + "@d.org";
    const Result<Address> address = Address::parse(external);
    ASSERT_TRUE(address) << external;
    EXPECT_EQ(address->local_part(), local_part);
    EXPECT_EQ(address->external(), external);
  }
}

}  // namespace
}  // namespace lmtpd
