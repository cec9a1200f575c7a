#include "lmtpd/frontend/strangers.h"

#include <gtest/gtest.h>

namespace lmtpd::frontend {
namespace {

TEST(Strangers, TheOldestGoesForTheNext) {
  Strangers strangers(2);
  EXPECT_EQ(strangers.add(1, "a"), std::nullopt);
  EXPECT_EQ(strangers.add(2, "b"), std::nullopt);
  EXPECT_EQ(strangers.add(3, "c"), 1U);
  EXPECT_EQ(strangers.add(4, "d"), 2U);
}

TEST(Strangers, OfTheClientThatHasTheMostOfThem) {
  Strangers strangers(5);
  EXPECT_EQ(strangers.add(1, "one"), std::nullopt);
  for (std::uint64_t name = 2; name <= 4; ++name) {
    EXPECT_EQ(strangers.add(name, "flood"), std::nullopt);
  }
  EXPECT_EQ(strangers.add(5, "other"), std::nullopt);
  EXPECT_EQ(strangers.add(6, "another"), 2U);
  EXPECT_EQ(strangers.add(7, "flood"), 3U) << "its own";
  EXPECT_EQ(strangers.add(8, "a fourth"), 4U);
  EXPECT_EQ(strangers.add(9, "a fifth"), 1U) << "all have one";
}

TEST(Strangers, WhoLeftOrSendsMailGoesForNobody) {
  Strangers strangers(2);
  EXPECT_EQ(strangers.add(1, "a"), std::nullopt);
  EXPECT_EQ(strangers.add(2, "a"), std::nullopt);
  strangers.forget(1);
  strangers.forget(1);
  EXPECT_EQ(strangers.add(3, "b"), std::nullopt);
  EXPECT_EQ(strangers.add(4, "b"), 3U);
  strangers.forget(3);
  strangers.forget(2);
  strangers.forget(4);
  EXPECT_EQ(strangers.add(5, "c"), std::nullopt);
}

}  // namespace
}  // namespace lmtpd::frontend
