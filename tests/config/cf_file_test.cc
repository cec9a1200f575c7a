#include "lmtpd/base/config/cf_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmtpd {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> out;
  const auto file = parse_cf_file("f", text);
  if (!file) return {"error " + file.error().text};
  for (const Assignment& made : file->assignments) {
    out.push_back(std::to_string(made.line) + " " + made.name + "=" + made.value);
  }
  return out;
}

TEST(CfFile, TakesNameAndValueWithBlanksAroundThem) {
  EXPECT_THAT(lines_of("a=1\nb = 2 3 \nc =\nd=x=y\n"),
              ElementsAre("1 a=1", "2 b=2 3", "3 c=", "4 d=x=y"));
}

TEST(CfFile, SkipsCommentsAndBlankLines) {
  EXPECT_THAT(lines_of("# one\n\n  # two\n \t\na = 1 # stays\n"), ElementsAre("5 a=1 # stays"));
}

TEST(CfFile, JoinsContinuationLinesAcrossCommentsAndBlankLines) {
  EXPECT_THAT(lines_of("a = 1,\n  2,\n#x\n\n\t3\nb=4"), ElementsAre("1 a=1,  2,\t3", "6 b=4"));
}

TEST(CfFile, TakesFilesWithCarriageReturnsAndWithoutALastLineEnd) {
  EXPECT_THAT(lines_of("a = 1\r\n\r\nb = 2"), ElementsAre("1 a=1", "3 b=2"));
}

TEST(CfFile, LastOneWinsWithAWarningThatNamesBoth) {
  const auto file = parse_cf_file("/f.cf", "a = 1\nb = 2\na = 3\n");
  ASSERT_TRUE(file);
  EXPECT_THAT(lines_of("a = 1\nb = 2\na = 3\n"), ElementsAre("3 a=3", "2 b=2"));
  EXPECT_THAT(file->warnings, ElementsAre("/f.cf:3: a: overrides the value of line 1"));
}

TEST(CfFile, IgnoresWithAWarningAFirstLineThatContinuesNothing) {
  const auto file = parse_cf_file("/f.cf", "# x\n a = 1\nb = 2\n");
  ASSERT_TRUE(file);
  EXPECT_THAT(lines_of("# x\n a = 1\nb = 2\n"), ElementsAre("3 b=2"));
  EXPECT_THAT(file->warnings, ElementsAre(HasSubstr("/f.cf:2: ignored")));
}

TEST(CfFile, TellsEveryErrorWithItsLine) {
  EXPECT_THAT(lines_of("nothing\n= 1\nok = 1\ntwo words = 1\n"),
              ElementsAre("error f:1: missing \"=\" after \"nothing\"\n"
                          "f:2: missing name before \"=\"\n"
                          "f:4: missing \"=\" after \"two\""));
  EXPECT_THAT(lines_of(std::string("a = 1\0", 6)),
              ElementsAre("error f:1: the line holds a NUL octet"));
}

TEST(CfFile, AnEmptyFileIsNoError) { EXPECT_THAT(lines_of(""), IsEmpty()); }

}  // namespace
}  // namespace lmtpd
