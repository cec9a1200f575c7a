#include "lookup/files/table_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmtpd::lookup {
namespace {

using testing::ElementsAre;

constexpr std::string_view kKnown[] = {"user", "password", "query", "expansion_limit"};

Result<TableFile> parse(std::string_view text) {
  return TableFile::parse("/etc/x.cf", text, kKnown);
}

TEST(TableFile, TakesValuesLiterally) {
  const auto file =
      parse("user=mailreader\npassword = a$b \"x\" # y=z \nquery =\n SELECT 1\n  FROM t\n");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->text("user"), "mailreader");
  EXPECT_EQ(file->text("password"), "a$b \"x\" # y=z");
  EXPECT_EQ(file->text("query"), "SELECT 1  FROM t");
  EXPECT_EQ(file->text("dbname", "none"), "none");
}

TEST(TableFile, LastOfARepeatedNameWinsWithAWarning) {
  const auto file = parse("user = a\nuser = b\nquota = 3\n");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->text("user"), "b");
  EXPECT_THAT(file->warnings(), ElementsAre("/etc/x.cf:2: user: overrides the value of line 1",
                                            "/etc/x.cf:3: quota: unknown parameter, ignored"));
}

TEST(TableFile, NamesFileLineAndParameterOfWhatItRefuses) {
  EXPECT_EQ(parse("user = a\nquery SELECT 1\n").error().text,
            "/etc/x.cf:2: missing \"=\" after \"query\"");
  EXPECT_EQ(parse("que ry = x\n").error().text, "/etc/x.cf:1: missing \"=\" after \"que\"");
  EXPECT_EQ(parse("\n= x\n").error().text, "/etc/x.cf:2: missing name before \"=\"");
  EXPECT_EQ(parse(std::string_view("user = a\0b", 10)).error().text,
            "/etc/x.cf:1: the line holds a NUL octet");
  const auto file = parse("user =\nexpansion_limit = 12x\n");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->required_text("user").error().text, "/etc/x.cf:1: user: empty");
  EXPECT_EQ(file->required_text("query").error().text, "/etc/x.cf: query: missing");
  EXPECT_EQ(file->number("expansion_limit", 0).error().text,
            "/etc/x.cf:2: expansion_limit: \"12x\" is not a number in digits alone");
}

TEST(TableFile, ReadsNumbersStrictly) {
  for (const auto* bad : {"", "-1", "1 2", "0x10", "99999999999", "1.5"}) {
    const auto file = parse(std::string("expansion_limit = ") + bad);
    ASSERT_TRUE(file);
    EXPECT_FALSE(file->number("expansion_limit", 0)) << bad;
  }
  EXPECT_EQ(parse("expansion_limit = 7")->number("expansion_limit", 0).value(), 7);
  EXPECT_EQ(parse("")->number("expansion_limit", 3).value(), 3);
}

}  // namespace
}  // namespace lmtpd::lookup
