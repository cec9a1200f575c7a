#include "lmtpd/frontend/client_places.h"

#include <gtest/gtest.h>

#include <optional>

namespace lmtpd::frontend {
namespace {

TEST(ClientPlaces, AreSoManyInAll) {  // B36
  ClientPlaces places(2, 2);
  std::optional<ClientPlace> first(std::in_place, places, "a");
  ClientPlace second(places, "b");
  ClientPlace third(places, "c");
  EXPECT_TRUE(first->hold());
  EXPECT_TRUE(second.hold());
  EXPECT_FALSE(third.hold());
  EXPECT_FALSE(third.hold());
  EXPECT_EQ(places.taken(), 2U);
  EXPECT_EQ(places.refused().in_all, 2U);
  EXPECT_EQ(places.refused().each, 0U);
  first.reset();
  EXPECT_TRUE(third.hold());
  EXPECT_EQ(places.taken(), 2U);
}

TEST(ClientPlaces, AreSoManyOfOneClient) {
  ClientPlaces places(10, 1);
  std::optional<ClientPlace> first(std::in_place, places, "a");
  ClientPlace second(places, "a");
  ClientPlace other(places, "b");
  EXPECT_TRUE(first->hold());
  EXPECT_TRUE(other.hold());
  EXPECT_FALSE(second.hold());
  EXPECT_EQ(places.refused().each, 1U);
  EXPECT_EQ(places.refused().in_all, 0U);
  first.reset();
  EXPECT_TRUE(second.hold());
}

TEST(ClientPlaces, OneThatAskedForNoneHasNone) {
  ClientPlaces places(1, 1);
  ClientPlace silent(places, "a");
  ClientPlace holder(places, "a");
  EXPECT_TRUE(holder.hold());
  EXPECT_FALSE(silent.hold());
}

TEST(ClientPlaces, OneThatWaitsGivesNothingBack) {
  ClientPlaces places(1, 1);
  ClientPlace holder(places, "a");
  EXPECT_TRUE(holder.hold());
  {
    ClientPlace waiting(places, "a");
    EXPECT_FALSE(waiting.hold());
  }
  EXPECT_EQ(places.taken(), 1U);
  EXPECT_TRUE(holder.hold());
}

}  // namespace
}  // namespace lmtpd::frontend
