#include "lmtpd/base/give_way_order.h"

#include <gtest/gtest.h>

namespace lmtpd {
namespace {

TEST(GiveWayOrder, OneOfTheClientThatHasMostAndThereTheLowestRank) {
  GiveWayOrder order;
  EXPECT_EQ(order.first(), std::nullopt);
  order.add("a", 1, 101);
  order.add("b", 3, 103);
  EXPECT_EQ(order.first(), 101U);  // as many: the lower rank
  order.add("b", 2, 102);
  order.add("b", 4, 104);
  EXPECT_EQ(order.first(), 102U);
  order.remove("b", 2);
  EXPECT_EQ(order.first(), 103U);
  order.remove("b", 3);
  EXPECT_EQ(order.first(), 101U);
  order.remove("a", 1);
  EXPECT_EQ(order.first(), 104U);
  order.remove("b", 4);
  EXPECT_EQ(order.first(), std::nullopt);
}

}  // namespace
}  // namespace lmtpd
