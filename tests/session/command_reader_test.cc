#include "lmtpd/session/command_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lmtpd::session {
namespace {

using Lines = std::vector<std::string>;

std::string name_of(LineFault fault) {
  switch (fault) {
    case LineFault::too_long:
      return "!too long";
    case LineFault::bare_newline:
      return "!bare newline";
    case LineFault::nul:
      return "!nul";
    case LineFault::none:
      break;
  }
  return "";
}

// Every line of `octets`, offered `piece` octets at a time.
Lines lines_of(std::string_view octets, std::size_t piece = SIZE_MAX) {
  CommandReader reader;
  Lines lines;
  while (!octets.empty()) {
    std::optional<CommandLine> line;
    const std::size_t read = reader.read(octets.substr(0, piece), line);
    EXPECT_GT(read, 0U);
    octets.remove_prefix(read);
    if (line) lines.push_back(name_of(line->fault) + std::string(line->text));
  }
  return lines;
}

TEST(CommandReader, CutsAtCrLf) {
  EXPECT_EQ(lines_of("NOOP\r\n\r\nMAIL FROM:<>\r\nQU"), (Lines{"NOOP", "", "MAIL FROM:<>"}));
}

TEST(CommandReader, ReportsABadLineOnceAndDropsItToItsCrLf) {
  using namespace std::string_view_literals;
  EXPECT_EQ(lines_of("A\nB\nC\r\nD\r\n"), (Lines{"!bare newline", "D"}));  // H15
  EXPECT_EQ(lines_of("A\rB\rC\r\nD\r\n"), (Lines{"!bare newline", "D"}));  // H16
  EXPECT_EQ(lines_of("A\r\r\nD\r\n"), (Lines{"!bare newline", "D"}));
  EXPECT_EQ(lines_of("A\n\r\nD\r\n"), (Lines{"!bare newline", "D"}));
  EXPECT_EQ(lines_of("\nA\r\nD\r\n"), (Lines{"!bare newline", "D"}));
  EXPECT_EQ(lines_of("A\0B\nC\r\nD\r\n"sv), (Lines{"!nul", "D"}));  // H17
}

TEST(CommandReader, TakesEightKibibytes) {  // C1, C2, J8
  const std::string longest(CommandReader::kLongest - 2, 'x');
  EXPECT_EQ(lines_of(longest + "\r\nD\r\n"), (Lines{longest, "D"}));
  EXPECT_EQ(lines_of(longest + "x\r\nD\r\n"), (Lines{"!too long", "D"}));
  EXPECT_EQ(lines_of(std::string(10'000'000, 'x') + "\r\nD\r\n"), (Lines{"!too long", "D"}));
  std::string umlauts;  // J8: an octet is what counts
  while (umlauts.size() + 2 < CommandReader::kLongest) umlauts += "\xC3\xB6";
  EXPECT_EQ(lines_of(umlauts + "\r\nD\r\n"), (Lines{umlauts, "D"}));
  EXPECT_EQ(lines_of(umlauts + "\xC3\xB6\r\nD\r\n"), (Lines{"!too long", "D"}));
}

TEST(CommandReader, MakesNoDifferenceHowOctetsAreCut) {  // H19
  constexpr std::string_view kAlphabet("\r\n\0x", 4);
  for (unsigned code = 0; code < 1U << 14; ++code) {  // every sequence of seven of these
    std::string octets;
    for (unsigned i = 0; i < 7; ++i) octets += kAlphabet[code >> 2 * i & 3];
    octets += "\r\nlast\r\n";
    const Lines whole = lines_of(octets);
    ASSERT_FALSE(whole.empty());
    EXPECT_EQ(whole.back(), "last");
    for (const std::size_t piece : {1U, 2U, 3U}) ASSERT_EQ(lines_of(octets, piece), whole);
  }
}

}  // namespace
}  // namespace lmtpd::session
