#include "bench/blast/reply.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace lmtpd::blast {
namespace {

TEST(ReplyReader, ReadsRepliesByteByByte) {
  ReplyReader reader;
  std::vector<Reply> replies;
  for (const char c : std::string_view("220 hello\r\n250-one\r\n250-two\r\n250 three\r\n354\r\n")) {
    reader.add({&c, 1});
    Reply reply;
    const auto complete = reader.next(reply);
    ASSERT_TRUE(complete.has_value()) << complete.error();
    if (*complete) replies.push_back(reply);
  }
  ASSERT_EQ(replies.size(), 3U);
  EXPECT_EQ(replies[0].code, 220);
  EXPECT_EQ(replies[1].text, "250-one\n250-two\n250 three");
  EXPECT_EQ(replies[2].code, 354);
  EXPECT_TRUE(reader.empty());
}

TEST(ReplyReader, SeveralInOneReadComeOneByOne) {
  ReplyReader reader;
  reader.add("250 a\r\n550 b\r\n25");
  Reply reply;
  EXPECT_TRUE(reader.next(reply).value());
  EXPECT_EQ(reply.code, 250);
  EXPECT_TRUE(reader.next(reply).value());
  EXPECT_EQ(reply.code, 550);
  EXPECT_FALSE(reader.next(reply).value());
  EXPECT_FALSE(reader.empty());
}

TEST(ReplyReader, RefusesWhatIsNoReply) {
  for (const char* bad : {"hello\r\n", "25\r\n", "250ok\r\n", "250 ok\n", "250-a\r\n550 b\r\n"}) {
    ReplyReader reader;
    Reply reply;
    reader.add(bad);
    EXPECT_FALSE(reader.next(reply).has_value()) << bad;
  }
  ReplyReader reader;
  Reply reply;
  reader.add(std::string(3000, '2'));
  EXPECT_FALSE(reader.next(reply).has_value());
}

TEST(Printable, IsOneLineWithoutControls) {
  EXPECT_EQ(printable("250-a\n250 \x1b[31m"), "250-a/250 ?[31m");
}

}  // namespace
}  // namespace lmtpd::blast
