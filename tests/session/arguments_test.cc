// Tables of good and bad arguments of MAIL and RCPT.
#include <gtest/gtest.h>

#include <limits>

#include "lmtpd/session/parameters.h"
#include "lmtpd/session/path_parser.h"

namespace lmtpd::session {
namespace {

struct GoodPath {
  std::string_view argument;
  std::string_view mailbox;
  std::string_view parameters;
};

TEST(Path, Good) {
  const GoodPath table[] = {
      {"TO:<a@x>", "a@x", ""},
      {"to:<a@x>", "a@x", ""},
      {"TO:<>", "", ""},
      {"TO:<a@x> A=1  B=2", "a@x", "A=1  B=2"},
      {"TO:<a@x>   A", "a@x", "A"},
      {"TO: <a@x>", "a@x", ""},  // B20
      {"TO:a@x", "a@x", ""},     // B21
      {"TO:a@x A=1", "a@x", "A=1"},
      {"TO:\"a b\"@x A=1", "\"a b\"@x", "A=1"},
      {"TO:<\"a>b\"@x> A", "\"a>b\"@x", "A"},  // B27
      {"TO:<\"a\\\">b\"@x>", "\"a\\\">b\"@x", ""},
      {"TO:<@r:a@x>", "a@x", ""},  // B22
      {"TO:<@r,@s:a@x>", "a@x", ""},
      {"TO:<a@[IPv6:::1]>", "a@[IPv6:::1]", ""},  // B28
      {"TO:<Postmaster>", "Postmaster", ""},      // B23
      {"TO:<a b@x>", "a b@x", ""},                // what stands inside is the address parser's
  };
  for (const GoodPath& row : table) {
    const auto path = parse_path(row.argument, "TO:", false, kBadRecipient);
    ASSERT_TRUE(path) << row.argument;
    EXPECT_EQ(path->mailbox, row.mailbox) << row.argument;
    EXPECT_EQ(path->parameters, row.parameters) << row.argument;
  }
}

struct BadPath {
  std::string_view argument;
  int code;
};

TEST(Path, Bad) {
  const BadPath table[] = {
      {"", 501},          {"T", 501},       {"TO", 501},         {"TO:", 501},
      {"TO: ", 501},      {"FROM:<>", 501}, {"TO <a@x>", 501},   {"TO :<a@x>", 501},
      {"TO:<a@x", 553},   {"TO:<", 553},    {"TO:<\"a@x>", 553}, {"TO:<a@x>A=1", 553},
      {"TO:<a@x>>", 553},
  };
  for (const BadPath& row : table) {
    const auto path = parse_path(row.argument, "TO:", false, kBadRecipient);
    ASSERT_FALSE(path) << row.argument;
    EXPECT_EQ(path.error().code, row.code) << row.argument;
  }
}

TEST(Path, StrictTakesNoLeniency) {
  EXPECT_FALSE(parse_path("TO: <a@x>", "TO:", true, kBadRecipient));
  EXPECT_FALSE(parse_path("TO:a@x", "TO:", true, kBadRecipient));
  EXPECT_TRUE(parse_path("TO:<a@x> A", "TO:", true, kBadRecipient));
}

int code_of_mail(std::string_view text) {
  const auto result = parse_mail_parameters(text, false);
  return result ? 250 : result.error().code;
}

int code_of_rcpt(std::string_view text) {
  const auto result = parse_rcpt_parameters(text);
  return result ? 250 : result.error().code;
}

TEST(MailParameters, Good) {
  const auto all = parse_mail_parameters("SIZE=123 BODY=8BITMIME SMTPUTF8", false);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size, 123U);
  EXPECT_TRUE(all->smtputf8);
  const auto none = parse_mail_parameters("", false);
  ASSERT_TRUE(none);
  EXPECT_EQ(none->size, 0U);
  EXPECT_FALSE(none->smtputf8);
  EXPECT_FALSE(all->binary);
  EXPECT_TRUE(parse_mail_parameters("body=BinaryMIME", false)->binary);
  EXPECT_TRUE(parse_mail_parameters("body=7bit", false));
  EXPECT_EQ(parse_mail_parameters("size=00000000000000000007", false)->size, 7U);
  EXPECT_EQ(parse_mail_parameters("size=18446744073709551615", false)->size,
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(parse_mail_parameters("size=99999999999999999999", false)->size,
            std::numeric_limits<std::uint64_t>::max());
}

TEST(MailParameters, Bad) {
  for (const std::string_view text : {"SIZE",
                                      "SIZE=",
                                      "SIZE=x",
                                      "SIZE=1x",
                                      "SIZE=-1",
                                      "SIZE=+1",
                                      "SIZE=0x1",
                                      "SIZE=000000000000000000001",
                                      "SIZE=1 SIZE=1",
                                      "BODY",
                                      "BODY=",
                                      "BODY=9BIT",
                                      "BODY=BINARY",
                                      "BODY=7BIT BODY=8BITMIME",
                                      "SMTPUTF8=",
                                      "SMTPUTF8=1",
                                      "SMTPUTF8 SMTPUTF8",
                                      "=",
                                      "=1",
                                      "-A=1",
                                      "A_B",
                                      "A=b=c",
                                      "A=b\x01",
                                      "SIZE=1\t"}) {
    EXPECT_EQ(code_of_mail(text), 501) << text;  // B33
  }
  for (const std::string_view text : {"FOO", "FOO=1", "RET=FULL", "ENVID=x", "AUTH=<>", "XYZ-1=a",
                                      "ORCPT=rfc822;a@x", "MT-PRIORITY=3"}) {
    EXPECT_EQ(code_of_mail(text), 555) << text;  // B29, M1
  }
}

TEST(MailParameters, AuthIsXtextWhereItIsOffered) {  // L12
  const auto submitter = [](std::string_view text) {
    const auto parameters = parse_mail_parameters(text, true);
    return parameters ? parameters->submitter.value_or("none")
                      : std::to_string(parameters.error().code);
  };
  EXPECT_EQ(submitter("SIZE=1"), "none");
  EXPECT_EQ(submitter("AUTH=<>"), "<>");
  // RFC 4954 section 5's example, and an octet beyond 7F.
  EXPECT_EQ(submitter("auth=e+3Dmc2@example.com"), "e=mc2@example.com");
  EXPECT_EQ(submitter("AUTH=a+2Bb+20c@example.com"), "a+b c@example.com");
  EXPECT_EQ(submitter("AUTH=" + std::string(500, 'a')), std::string(500, 'a'));
  for (const std::string_view bad : {"AUTH", "AUTH=", "AUTH=a+b", "AUTH=a+3", "AUTH=a+3d",
                                     "AUTH=a=b", "AUTH=a\x80", "AUTH=<> AUTH=<>"}) {
    EXPECT_EQ(submitter(bad), "501") << bad;
  }
}

std::string original(std::string_view text) {
  const auto result = parse_rcpt_parameters(text);
  return result ? result->original_recipient : "(refused)";
}

TEST(RcptParameters, OriginalRecipient) {
  EXPECT_EQ(original(""), "");
  EXPECT_EQ(original("ORCPT=rfc822;a@x"), "a@x");
  EXPECT_EQ(original("orcpt=RFC822;a+2Bb+3Dc@x"), "a+b=c@x");
  EXPECT_EQ(original("ORCPT=rfc822;a;b@x"), "a;b@x");
  EXPECT_EQ(original("ORCPT=rfc822;"), "");
  EXPECT_EQ(original("ORCPT=x400;/C=de/"), "(refused)");  // an = in a value
  EXPECT_EQ(original("ORCPT=x400;/C+3Dde/"), "");         // not a mail address
  EXPECT_EQ(original("ORCPT=utf-8;j\xC3\xB6@x"), "j\xC3\xB6@x");
  EXPECT_EQ(original("ORCPT=utf-8;j\\x{F6}\\x{1F600}\\x{20AC}\\x{5C}@x"),
            "j\xC3\xB6\xF0\x9F\x98\x80\xE2\x82\xAC\\@x");
}

TEST(RcptParameters, Bad) {
  for (const std::string_view text :
       {"ORCPT", "ORCPT=", "ORCPT=a@x", "ORCPT=;a@x", "ORCPT=rfc822;a+", "ORCPT=rfc822;a+2",
        "ORCPT=rfc822;a+2b", "ORCPT=rfc822;a+ZZ", "ORCPT=rfc822;\xC3\xB6", "ORCPT=r_c;a",
        "ORCPT=rfc822;a ORCPT=rfc822;a", "ORCPT=utf-8;\\", "ORCPT=utf-8;\\x{}",
        "ORCPT=utf-8;\\x{F6", "ORCPT=utf-8;\\x{D800}", "ORCPT=utf-8;\\x{110000}",
        "ORCPT=utf-8;\\x{0000041}", "ORCPT=utf-8;\\x{g0}"}) {
    EXPECT_EQ(code_of_rcpt(text), 501) << text;
  }
  for (const std::string_view text : {"NOTIFY=NEVER", "SIZE=1", "FOO"}) {
    EXPECT_EQ(code_of_rcpt(text), 555) << text;
  }
}

TEST(Chunk, Good) {  // G1, G2
  const struct {
    std::string_view argument;
    std::uint64_t octets;
    bool last;
  } table[] = {
      {"0", 0, false},
      {"86", 86, false},
      {"86 LAST", 86, true},
      {"86   last", 86, true},
      {"000000000000000000000000086", 86, false},
      {"9223372036854775807 LAST", 9223372036854775807U, true},
  };
  for (const auto& row : table) {
    const auto chunk = parse_chunk(row.argument);
    ASSERT_TRUE(chunk) << row.argument;
    EXPECT_EQ(chunk->octets, row.octets) << row.argument;
    EXPECT_EQ(chunk->last, row.last) << row.argument;
  }
}

TEST(Chunk, Bad) {  // G10
  for (const std::string_view argument :
       {"", "LAST", "-1", "+1", "0x10", "1k", "1.0", "1\tLAST", "1LAST", "1 LAST x", "1 FIRST",
        "9223372036854775808", "18446744073709551616", "99999999999999999999999 LAST"}) {
    const auto chunk = parse_chunk(argument);
    ASSERT_FALSE(chunk) << argument;
    EXPECT_EQ(chunk.error().code, 501) << argument;
  }
}

}  // namespace
}  // namespace lmtpd::session
