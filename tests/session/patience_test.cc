#include "lmtpd/session/patience.h"

#include <gtest/gtest.h>

namespace lmtpd::session {
namespace {

constexpr std::uint64_t kKiB = 1024;

Settings settings() {
  Settings out;
  out.error_limit = 2;
  out.junk_command_limit = 3;
  out.recipient_limit = 4;
  return out;
}

class PatienceTest : public ::testing::Test {
 protected:
  // How many of them are borne, up to a hundred.
  std::size_t borne(MessageStep step, bool in_turn) {
    std::size_t count = 0;
    while (count < 100 && patience_.take_command(step, in_turn)) ++count;
    return count;
  }

  Patience patience_{settings()};
};

TEST_F(PatienceTest, EndsWithOneCommandTooMany) {  // B43
  EXPECT_TRUE(patience_.take_command(MessageStep::first, true));
  EXPECT_EQ(borne(MessageStep::none, true), 2U);
}

TEST_F(PatienceTest, CommandsCountFromOneThatLeadsOn) {  // B43
  EXPECT_EQ(borne(MessageStep::none, true), 3U);
  EXPECT_EQ(borne(MessageStep::further, true), 100U);
  EXPECT_EQ(borne(MessageStep::none, true), 3U);
  patience_.excuse_commands();
  EXPECT_EQ(borne(MessageStep::none, true), 3U);
}

TEST_F(PatienceTest, WhatIsPipelinedBehindARefusedMailIsBorneOnceForEachMail) {  // B43
  for (std::size_t mail = 1; mail <= 2; ++mail) {
    patience_.excuse_commands();
    EXPECT_TRUE(patience_.take_command(MessageStep::first, false));
    EXPECT_EQ(borne(MessageStep::further, false), 4U + 1 + 2) << "four RCPTs, a DATA, two as junk";
  }
}

TEST_F(PatienceTest, ThatIsMoreByAChunkForEach64KiB) {  // B43
  patience_.begin_stray_chunk(64 * kKiB - 1, {});
  EXPECT_EQ(borne(MessageStep::further, false), 4U + 1 + 3);
  patience_ = Patience(settings());
  patience_.begin_stray_chunk(64 * kKiB - 1, {});
  patience_.begin_stray_chunk(1, {});
  EXPECT_EQ(borne(MessageStep::further, false), 4U + 1 + 1 + 3);
}

TEST_F(PatienceTest, StrayChunksAreOneMessagesUntilMail) {  // G5, B38
  const Clock::time_point begun{std::chrono::seconds(1)};
  const Clock::time_point later{std::chrono::seconds(2)};
  patience_.begin_stray_chunk(10, begun);
  EXPECT_TRUE(patience_.in_stray_chunk());
  EXPECT_EQ(patience_.take_stray_octets(4), 4U);
  EXPECT_EQ(patience_.take_stray_octets(100), 6U);
  EXPECT_FALSE(patience_.in_stray_chunk());
  patience_.begin_stray_chunk(10, later);
  EXPECT_EQ(patience_.stray_octets(), 20U);
  EXPECT_EQ(patience_.strays_since(), begun);
  EXPECT_TRUE(patience_.take_command(MessageStep::first, false));
  patience_.begin_stray_chunk(10, later);
  EXPECT_EQ(patience_.stray_octets(), 10U);
  EXPECT_EQ(patience_.strays_since(), later);
}

TEST_F(PatienceTest, EndsWithOneErrorTooMany) {  // B42
  for (int message = 0; message < 2; ++message) {
    EXPECT_TRUE(patience_.take_error());
    EXPECT_TRUE(patience_.take_error());
    patience_.forget_errors();
  }
  EXPECT_TRUE(patience_.take_error());
  EXPECT_TRUE(patience_.take_error());
  EXPECT_FALSE(patience_.take_error());
}

}  // namespace
}  // namespace lmtpd::session
