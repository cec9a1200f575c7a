#include "lmtpd/frontend/recipient_room.h"

#include <gtest/gtest.h>

#include <list>
#include <string>

namespace lmtpd::frontend {
namespace {

constexpr std::uint64_t kPool = 1 << 20;
constexpr std::uint64_t kStep = 64;

// How much one more connection of `client`'s gets, a step at a time.
std::uint64_t take_all(RecipientHold& hold) {
  std::uint64_t taken = 0;
  while (hold.add(kStep)) taken += kStep;
  return taken;
}

TEST(RecipientRoom, IsHalfOneClientsWhoIsAlone) {
  RecipientRoom room(kPool);
  const std::string client = "a";
  RecipientHold first(room, client);
  RecipientHold second(room, client);
  EXPECT_TRUE(first.add(kPool / 4));
  EXPECT_EQ(take_all(second), kPool / 4);
  EXPECT_FALSE(first.add(1));
  EXPECT_EQ(room.held(), kPool / 2);
}

TEST(RecipientRoom, LeavesRoomForTheNextOneHoweverManyTakeAllThatTheyCan) {
  RecipientRoom room(kPool);
  std::list<std::string> names;
  std::list<RecipientHold> holds;
  std::uint64_t left = kPool;
  for (int i = 0; i < 100; ++i) {
    const std::string& name = names.emplace_back(std::to_string(i));
    const std::uint64_t taken = take_all(holds.emplace_back(room, name));
    EXPECT_GE(taken + kStep, left / 2) << i;
    EXPECT_GE(taken, RecipientRoom::kAlways) << i;
    left -= std::min(left, taken);
  }
  EXPECT_LE(room.held(), kPool + names.size() * RecipientRoom::kAlways);
}

TEST(RecipientRoom, IsTheNextOnesAsSoonAsItIsGivenBack) {
  RecipientRoom room(kPool);
  const std::string client = "a";
  const std::string other = "b";
  RecipientHold hold(room, client);
  {
    RecipientHold gone(room, client);
    EXPECT_TRUE(hold.add(kPool / 4));
    EXPECT_TRUE(gone.add(kPool / 4));
    EXPECT_FALSE(hold.add(1));
  }
  EXPECT_TRUE(hold.add(kPool / 4));
  RecipientHold others(room, other);
  EXPECT_FALSE(others.add(kPool / 2));
  EXPECT_TRUE(others.add(1000));
  hold.give_back(kPool / 4);
  hold.give_back(kPool / 4);
  EXPECT_EQ(room.held(), 1000U);
  EXPECT_TRUE(others.add(kPool / 2 - 1000));
  others.give_back(kPool / 4);
  EXPECT_TRUE(hold.add(kPool / 4));
}

TEST(RecipientRoom, TakesAllOfAListOrNothing) {
  RecipientRoom room(kPool);
  const std::string client = "a";
  RecipientHold hold(room, client);
  EXPECT_TRUE(hold.add(10'000));
  EXPECT_FALSE(hold.add(kPool / 2));
  EXPECT_EQ(room.held(), 10'000U);
  EXPECT_TRUE(hold.add(kPool / 2 - 10'000));
}

// A recipient itself has room before his mailboxes ask for it.
TEST(RecipientRoom, TakesWhateverComesWhereNextToNothingIsHeld) {
  RecipientRoom room(kPool);
  const std::string client = "a";
  const std::string other = "b";
  RecipientHold hold(room, client);
  EXPECT_TRUE(hold.add(1000));
  EXPECT_TRUE(hold.add(3 * kPool));
  EXPECT_FALSE(hold.add(1));
  RecipientHold others(room, other);
  EXPECT_TRUE(others.add(RecipientRoom::kAlways));
  EXPECT_FALSE(others.add(1));
}

}  // namespace
}  // namespace lmtpd::frontend
