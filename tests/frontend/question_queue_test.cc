#include "lmtpd/frontend/question_queue.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lmtpd::frontend {
namespace {

using std::chrono::seconds;

class Questions : public testing::Test {
 protected:
  void push(const std::string& client, std::uint64_t connection, const std::string& address,
            seconds after = seconds(0)) {
    queue_.push(client, {connection, 1, begin_ + after, address});
  }
  std::string pop(int count) {
    std::string addresses;
    for (int i = 0; i < count; ++i) addresses += queue_.pop().address;
    return addresses;
  }
  std::string take_due(seconds after) {
    std::string addresses;
    for (const Question& question : queue_.take_due(begin_ + after)) addresses += question.address;
    std::ranges::sort(addresses);
    return addresses;
  }

  QuestionQueue queue_;
  const Clock::time_point begin_ = Clock::now();
};

TEST_F(Questions, GoByTurnsOfTheirClients) {
  for (const char* address : {"a", "b", "c"}) push("one", 1, address);
  for (const char* address : {"x", "y"}) push("two", 2, address);
  push("three", 3, "p");
  EXPECT_EQ(pop(6), "axpbyc");
  EXPECT_TRUE(queue_.empty());
}

TEST_F(Questions, GoByTurnsOfAClientsConnections) {
  for (const char* address : {"a", "b"}) push("one", 1, address);
  for (const char* address : {"m", "n"}) push("one", 2, address);
  for (const char* address : {"x", "y", "z"}) push("two", 3, address);
  EXPECT_EQ(pop(7), "axmybzn");
}

TEST_F(Questions, OfANewcomerGoBeforeWhoHadTheLastTurnAndNobodyElse) {
  for (const char* address : {"a", "b", "c"}) push("one", 1, address);
  for (const char* address : {"x", "y"}) push("two", 2, address);
  EXPECT_EQ(pop(1), "a");
  push("three", 3, "p");
  EXPECT_EQ(pop(1), "x");
  push("four", 4, "s");
  EXPECT_EQ(pop(5), "pbsyc");
}

TEST_F(Questions, ThatAreDueAreTakenOutAndNoOthers) {
  push("one", 1, "a", seconds(1));
  push("one", 1, "b", seconds(3));
  push("one", 2, "c", seconds(2));
  push("two", 3, "d", seconds(4));
  EXPECT_EQ(take_due(seconds(0)), "");
  EXPECT_EQ(take_due(seconds(2)), "ac");
  EXPECT_EQ(pop(2), "bd");
  EXPECT_TRUE(queue_.empty());
  push("two", 3, "e", seconds(5));
  EXPECT_EQ(take_due(seconds(5)), "e");
  EXPECT_TRUE(queue_.empty());
}

TEST_F(Questions, OfAConnectionAreForgotten) {
  push("one", 1, "a");
  push("one", 2, "b");
  push("two", 3, "c");
  queue_.drop(1);
  queue_.drop(3);
  queue_.drop(9);
  EXPECT_EQ(pop(1), "b");
  EXPECT_TRUE(queue_.empty());
}

}  // namespace
}  // namespace lmtpd::frontend
