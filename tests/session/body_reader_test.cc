#include "lmtpd/session/body_reader.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tests/session/reference_data.h"

namespace lmtpd::session {
namespace {

using namespace std::string_literals;

struct Read {
  std::string stored;
  std::size_t consumed = 0;
  BodyReader reader{BodyReader::Framing::dots};
};

Read read_all(std::string_view octets, std::size_t piece = SIZE_MAX) {
  Read result;
  while (!octets.empty() && !result.reader.ended()) {
    const std::size_t taken = result.reader.read(octets.substr(0, piece));
    EXPECT_GT(taken, 0U);
    octets.remove_prefix(taken);
    result.consumed += taken;
    result.stored += result.reader.output();
  }
  return result;
}

using LineEnds = BodyReader::LineEnds;

// The last of `chunks` ends the message.
Read read_chunks(const std::vector<std::string_view>& chunks, LineEnds line_ends,
                 std::size_t piece = SIZE_MAX) {
  Read result{.reader = BodyReader(BodyReader::Framing::chunks, line_ends)};
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    std::string_view rest = chunks[i];
    result.reader.begin_chunk(rest.size(), i + 1 == chunks.size());
    do {
      const std::size_t taken = result.reader.read(rest.substr(0, piece));
      rest.remove_prefix(taken);
      result.consumed += taken;
      result.stored += result.reader.output();
    } while (!rest.empty());
    EXPECT_TRUE(result.reader.chunk_ended());
  }
  EXPECT_TRUE(result.reader.ended());
  return result;
}

TEST(Data, NoFalseEndEndsIt) {  // H1-H11, H14
  const std::string false_ends[] = {
      "\n.\n",     "\r.\r",      "\r.\n",      "\n.\r",        "\n.\r\n",
      "\r\n.\n",   "\r.\r\n",    "\r\n.\r",    "\r\n\0.\r\n"s, "\r\n.\0\r\n"s,
      "\r\n.\r\r", "\r\n.\r\rx", "\r\n. \r\n", "\r\n.\t\r\n",  "\r\n..\r\n",
      "\n\r.\r\n", "\r\r.\r\n",  "\r\n.\n.\r", "\r\n\r.\r\n",  "\r\n.\r.\r\n",
  };
  for (const std::string& sequence : false_ends) {
    for (const std::string& before : {""s, "Subject: x\r\n\r\ntext"s}) {
      for (const std::string& behind : {""s, "MAIL FROM:<x@y>\r\n"s}) {
        std::string octets = before;
        octets.append(sequence).append(behind);
        EXPECT_FALSE(read_all(octets).reader.ended()) << ::testing::PrintToString(octets);
        EXPECT_FALSE(read_all(octets, 1).reader.ended()) << ::testing::PrintToString(octets);
      }
    }
  }
}

TEST(Data, EndsAtTheOnlyEndThereIs) {  // H13, H14, C8
  for (const std::string& octets : {".\r\n"s, "x\r\n.\r\n"s, "x\r\r\n.\r\n"s, "\r\n.\r\n"s}) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, SIZE_MAX}) {
      const Read read = read_all(octets + "QUIT\r\n", piece);
      EXPECT_TRUE(read.reader.ended());
      EXPECT_EQ(read.consumed, octets.size());
    }
  }
}

TEST(Data, UnstuffsDotsBehindCrLfOnly) {  // D1
  EXPECT_EQ(read_all("x:\r\n\r\n..x\r\n.y\r\n...\r\n.\r\n").stored, "x:\n\n.x\ny\n..\n");
  EXPECT_EQ(read_all("..x\r\n.\r\n").stored, ".x\n");
  EXPECT_EQ(read_all("a\n..x\r\n.\r\n").stored, "a\n..x\n");
  EXPECT_EQ(read_all("a\r..x\r\n.\r\n").stored, "a\r..x\n");
}

TEST(Data, AgreesWithTheReferenceHoweverItIsCut) {  // H19
  constexpr std::string_view kAlphabet("\r\n.x", 4);
  for (unsigned length = 0; length <= 7; ++length) {
    for (unsigned code = 0; code < 1U << 2 * length; ++code) {  // every sequence of these
      std::string octets;
      for (unsigned i = 0; i < length; ++i) octets += kAlphabet[code >> 2 * i & 3];
      octets += "\r\n.\r\nQUIT";
      const auto expected = reference_data(octets);
      ASSERT_TRUE(expected);
      for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, SIZE_MAX}) {
        const Read read = read_all(octets, piece);
        ASSERT_TRUE(read.reader.ended());
        ASSERT_EQ(read.stored, expected->stored) << ::testing::PrintToString(octets);
        ASSERT_EQ(read.consumed, expected->consumed);
        ASSERT_EQ(read.reader.received_octets(), expected->wire.size());
        ASSERT_EQ(read.reader.wire_octets(), wire_size(expected->stored));
        ASSERT_EQ(read.reader.has_bare_newline(), expected->bare_newline);
      }
    }
  }
}

TEST(Data, AgreesWithTheReferenceOnLongTexts) {
  std::mt19937 random(20251122);
  constexpr std::string_view kPieces[] = {"\r\n", "\r\n.", "\r", "\n", ".", "text of a line", "\0"};
  constexpr std::string_view kFields[] = {
      "Return-Path: <a>\r\n", "return-path :b\n", " folded\r\n",
      "Return-Path",          ": <c>\r",          "Subject: x\r\n"};
  for (int round = 0; round < 300; ++round) {
    std::string octets;
    for (int i = 0; i < 4; ++i) octets += kFields[random() % std::size(kFields)];
    if (round % 2 == 0) octets += "\r\n";
    for (int i = 0; i < 200; ++i) octets += kPieces[random() % std::size(kPieces)];
    octets += "\r\n.\r\n";
    const auto expected = reference_data(octets);
    ASSERT_TRUE(expected);
    const Read read = read_all(octets, 1 + random() % 100);
    ASSERT_EQ(read.stored, without_return_path(expected->stored));
    ASSERT_EQ(read.reader.received_octets(), expected->wire.size());
    ASSERT_EQ(read.reader.wire_octets(), wire_size(read.stored));
  }
}

TEST(Data, KeepsLinesOfEveryLength) {  // C4
  // RFC 5321's longest, and what buffers like to be long.
  constexpr std::size_t kLengths[] = {1,    78,   510,  997,  998,    999,    1000,     1022,
                                      1023, 1024, 2048, 4096, 65'535, 65'536, 1'000'000};
  for (const std::size_t length : kLengths) {
    const std::string line = std::string(length - 1, 'x') + '$';
    const std::string text = "Subject: " + line + "\r\n\r\n" + line + "\r\n." + line + "\r\n";
    for (const std::size_t piece :
         {std::size_t{1}, std::size_t{998}, std::size_t{1000}, SIZE_MAX}) {
      const Read read = read_all(text + ".\r\n", piece);
      ASSERT_TRUE(read.reader.ended());
      ASSERT_EQ(read.stored, "Subject: " + line + "\n\n" + line + "\n" + line + "\n")
          << length << " octets in pieces of " << piece;
    }
  }
}

TEST(Data, KeepsEveryOtherOctet) {  // D2, J2
  std::string all;
  for (int c = 0; c < 256; ++c) {
    if (c != '\r' && c != '\n') all += static_cast<char>(c);
  }
  const std::string line = all + std::string(100'000, 'x');
  EXPECT_EQ(read_all("x:\r\n\r\n" + line + "\r\n.\r\n").stored, "x:\n\n" + line + "\n");
}

TEST(Chunks, AgreeWithTheReferenceHoweverTheyAreCut) {  // G3, G4, G13, H19
  constexpr std::string_view kAlphabet("\r\n.x", 4);
  for (unsigned length = 0; length <= 6; ++length) {
    for (unsigned code = 0; code < 1U << 2 * length; ++code) {  // every sequence of these
      std::string octets;
      for (unsigned i = 0; i < length; ++i) octets += kAlphabet[code >> 2 * i & 3];
      const std::string_view all = octets;
      const ReferenceText expected = reference_text(all);
      for (std::size_t cut = 0; cut <= all.size(); ++cut) {
        for (const std::size_t piece : {std::size_t{1}, SIZE_MAX}) {
          const Read text = read_chunks({all.substr(0, cut), all.substr(cut)}, LineEnds::lf, piece);
          ASSERT_EQ(text.stored, with_last_newline(expected.stored))
              << ::testing::PrintToString(octets);
          ASSERT_EQ(text.reader.wire_octets(), wire_size(text.stored));
          ASSERT_EQ(text.reader.has_bare_newline(), expected.bare_newline);
          ASSERT_GE(text.reader.received_octets(), text.stored.size());
          const Read binary =
              read_chunks({all.substr(0, cut), all.substr(cut)}, LineEnds::as_sent, piece);
          ASSERT_EQ(binary.stored, octets) << ::testing::PrintToString(octets);
          ASSERT_EQ(binary.reader.wire_octets(), wire_size(octets));
          ASSERT_EQ(binary.reader.received_octets(), octets.size());
          ASSERT_FALSE(binary.reader.has_bare_newline());
        }
      }
    }
  }
}

TEST(Chunks, TakeNoOctetThatIsNotTheirs) {  // G1, G2
  BodyReader reader(BodyReader::Framing::chunks);
  reader.begin_chunk(3, false);
  EXPECT_EQ(reader.read(" a"), 2U);
  EXPECT_FALSE(reader.chunk_ended());
  EXPECT_EQ(reader.read("b\r\nQUIT"), 1U);
  EXPECT_EQ(reader.output(), "b");
  EXPECT_TRUE(reader.chunk_ended());
  EXPECT_FALSE(reader.ended());
  reader.begin_chunk(0, true);
  EXPECT_EQ(reader.read("QUIT"), 0U);
  EXPECT_TRUE(reader.ended());
  EXPECT_EQ(reader.output(), "\n");
  EXPECT_EQ(reader.received_octets(), 5U);  // a line end counts as CR LF, this one too
}

TEST(Chunks, SizeIsKnownAsTheyBegin) {  // G11
  BodyReader reader(BodyReader::Framing::chunks);
  reader.begin_chunk(1U << 30, false);
  EXPECT_EQ(reader.received_octets(), 1U << 30);
}

TEST(Chunks, OfABinaryMessageKeepEveryOctet) {  // G4, D9
  std::string all = "A: b\r\n\r\n";
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  for (int c = 255; c >= 0; --c) all += static_cast<char>(c);
  EXPECT_EQ(read_chunks({all}, LineEnds::as_sent).stored, all);
  EXPECT_EQ(read_chunks({"Return-Path: <a>\r\nA: b\nB: c\r\n\r\nx"}, LineEnds::as_sent).stored,
            "A: b\nB: c\r\n\r\nx");
  EXPECT_EQ(read_chunks({"A: b\r\nReturn-", "Path: <a>\r"}, LineEnds::as_sent).stored, "A: b\r\n");
}

TEST(Chunks, MayEndWithinAHeaderField) {
  EXPECT_EQ(read_chunks({"Return-Pa"}, LineEnds::as_sent).stored, "Return-Pa");
  EXPECT_EQ(read_chunks({"Return-Pa"}, LineEnds::lf).stored, "Return-Pa\n");
  EXPECT_EQ(read_chunks({"A: b\r\nReturn-Path: <a>"}, LineEnds::lf).stored, "A: b\n");
  EXPECT_EQ(read_chunks({"A: b\r\nReceived: c"}, LineEnds::lf).reader.received_fields(), 1U);
}

TEST(Header, ReturnPathIsLeftOut) {  // D3
  EXPECT_EQ(read_all("Return-Path: <a>\r\nA: b\r\n\r\nReturn-Path: c\r\n.\r\n").stored,
            "A: b\n\nReturn-Path: c\n");
  EXPECT_EQ(read_all("A: b\r\nRETURN-path  :<a>\r\n more\r\n\tand more\r\nB: c\r\n.\r\n").stored,
            "A: b\nB: c\n");
  EXPECT_EQ(read_all("Return-Path: a\r\n\r\nx\r\n.\r\n").stored, "\nx\n");
  EXPECT_EQ(read_all("Return-Path: a\nA: b\n\nx\r\n.\r\n").stored, "A: b\n\nx\n");
  EXPECT_EQ(read_all("Return-Pat: a\r\nReturn-Pathx: a\r\n.\r\n").stored,
            "Return-Pat: a\nReturn-Pathx: a\n");
}

TEST(Header, EndsAtTheFirstLineThatIsNoField) {
  for (const std::string line :
       {"no field", ":x", "caf\xC3\xA9: x", "Return-Path", "\r", " folded"}) {
    const std::string text = line + "\r\nReturn-Path: stays\r\nReceived: x\r\n";
    const Read read = read_all(text + ".\r\n");
    EXPECT_EQ(read.stored, reference_data(text + ".\r\n")->stored) << line;
    EXPECT_EQ(read.reader.received_fields(), 0U) << line;
  }
}

TEST(Header, ALineWithoutColonOfAnyLengthIsText) {
  const std::string line(1000, 'A');
  EXPECT_EQ(read_all(line + "\r\nReturn-Path: stays\r\n.\r\n", 7).stored,
            line + "\nReturn-Path: stays\n");
  EXPECT_EQ(read_all(line + ": x\r\nReturn-Path: goes\r\n.\r\n", 7).stored, line + ": x\n");
}

TEST(Header, CountsHops) {
  const Read read = read_all(
      "Received: a\r\n\tReceived: b\r\nRECEIVED:c\r\nX-Received: d\r\n\r\nReceived: e\r\n.\r\n");
  EXPECT_EQ(read.reader.received_fields(), 2U);
}

TEST(Header, KeepsTheFirstMessageId) {
  EXPECT_EQ(
      read_all("A: b\r\nmessage-ID: <1@x> \r\nMessage-ID: <2@x>\r\n.\r\n", 3).reader.message_id(),
      "<1@x>");
  EXPECT_EQ(read_all("Message-ID:\r\n  <1@x>\r\n.\r\n").reader.message_id(), "<1@x>");
  EXPECT_EQ(read_all("A: b\r\n\r\nMessage-ID: <1@x>\r\n.\r\n").reader.message_id(), "");
  EXPECT_EQ(
      read_all("Message-ID: " + std::string(1000, 'x') + "\r\n.\r\n").reader.message_id().size(),
      HeaderFilter::kLongestMessageId - 1);
}

// Of a field without an end, a line in its place that is none, a section of many fields, and a line
// of the body.
TEST(Reader, HoldsNothingOfTenMebibytesBack) {  // C6, C7
  constexpr std::size_t kPieces = 160;
  constexpr std::size_t kHeldBack = 64;  // octets; the name of a field, a CR
  std::string fields;
  while (fields.size() < 64 * 1024) fields += "X: y\r\n";
  const std::string text(64 * 1024, 'x');
  for (const auto& [beginning, piece, stored] : {std::tuple{"X: ", text, text.size()},
                                                 {"x", text, text.size()},
                                                 {"A: b\r\n", fields, fields.size() / 6 * 5},
                                                 {"\r\n", text, text.size()}}) {
    BodyReader reader(BodyReader::Framing::dots);
    ASSERT_EQ(reader.read(beginning), std::string_view(beginning).size());
    for (std::size_t i = 0; i < kPieces; ++i) {
      ASSERT_EQ(reader.read(piece), piece.size());
      EXPECT_GE(reader.output().size() + kHeldBack, stored) << beginning;
    }
  }
}

TEST(Header, WireOctetsCountWhatIsStored) {
  const Read read = read_all("Return-Path: <a>\r\nA: b\r\n\r\nx\r\n.\r\n");
  EXPECT_EQ(read.reader.wire_octets(), 6U + 2U + 3U);
  EXPECT_EQ(read.reader.received_octets(), 18U + 6U + 2U + 3U);
}

}  // namespace
}  // namespace lmtpd::session
