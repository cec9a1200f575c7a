#include "bench/blast/message.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace lmtpd::blast {
namespace {

// What a server stores: dots unstuffed, the final dot gone.
std::string unstuffed(const std::string& wire) {
  std::string text;
  std::size_t begin = 0;
  while (begin < wire.size()) {
    const auto end = wire.find("\r\n", begin) + 2;
    std::string line = wire.substr(begin, end - begin);
    begin = end;
    if (line == ".\r\n") {
      EXPECT_EQ(begin, wire.size()) << "the data ends early";
      return text;
    }
    if (line.starts_with("..")) line.erase(0, 1);
    text += line;
  }
  ADD_FAILURE() << "no final dot";
  return text;
}

TEST(Message, HasExactlyTheSizeAskedForAndTheChecksumItNames) {
  for (const std::size_t size : {500U, 501U, 576U, 577U, 578U, 579U, 580U, 4096U, 100000U}) {
    const auto maker = MessageMaker::make("run", size, "Thu, 01 Jan 1970 00:00:00 +0000");
    ASSERT_TRUE(maker.has_value()) << maker.error();
    const std::string id = maker->id(7);
    const std::string text =
        unstuffed(maker->head(id) + std::string(maker->middle()) + MessageMaker::tail(id));
    EXPECT_EQ(text.size(), size);
    const auto body = text.find("\r\n\r\n") + 4;
    const std::string frame = id + "\r\n";
    EXPECT_EQ(text.substr(body, frame.size()), frame);
    EXPECT_TRUE(text.ends_with("\r\n" + frame));
    const std::string between =
        text.substr(body + frame.size(), text.size() - body - 2 * frame.size());
    EXPECT_NE(text.find(fmt::format("X-Blast-Body: crc32={:08x}\r\n", crc32_of_lines(between))),
              std::string::npos);
  }
}

TEST(Message, ExercisesDotStuffing) {
  const auto maker = MessageMaker::make("run", 4096, "now");
  EXPECT_TRUE(maker->middle().starts_with(".."));
}

TEST(Message, RefusesASizeWithoutRoomForTheHeader) {
  EXPECT_FALSE(MessageMaker::make("run", 100, "now").has_value());
}

TEST(Crc32, IsZlibsWithCrlfReadAsLf) {
  EXPECT_EQ(crc32_of_lines("123456789"), 0xCBF43926U);
  EXPECT_EQ(crc32_of_lines("a\r\nb\r\n"), crc32_of_lines("a\nb\n"));
}

}  // namespace
}  // namespace lmtpd::blast
