#include "lookup/availability.h"

#include <gtest/gtest.h>

namespace lmtpd::lookup {
namespace {

constexpr std::chrono::milliseconds kMoment{1};

class Database : public testing::Test, private Availability::Listener {
 protected:
  Database() { availability_.add(*this); }
  // Its timers look at the clock as soon as they come.
  void run_until_told(int times) {
    while (told_ < times) event_base_loop(base_.get(), EVLOOP_ONCE);
  }

  Clock::time_point now_;
  EventBasePtr base_{event_base_new()};
  Availability availability_{base_.get(), [this] { return now_; }};
  int told_ = 0;

 private:
  void on_away() override { ++told_; }
};

TEST_F(Database, IsAwayOnceAQuestionHasNoAnswerForTooLong) {
  const Availability::Question question = availability_.on_asked();
  now_ += Availability::kPatience;
  EXPECT_FALSE(availability_.old_answers_will_do());
  run_until_told(1);
  EXPECT_TRUE(availability_.is_away());
}

TEST_F(Database, IsAwayOnceForAllFailures) {
  availability_.on_failure();
  EXPECT_TRUE(availability_.is_away());
  EXPECT_EQ(told_, 0) << "from the loop only";
  run_until_told(1);
  availability_.on_failure();
  event_base_loop(base_.get(), EVLOOP_NONBLOCK);
  EXPECT_EQ(told_, 1);
}

TEST_F(Database, StaysAwayUntilASignOfLife) {
  availability_.on_failure();
  now_ += std::chrono::hours(1);
  EXPECT_TRUE(availability_.is_away());
  availability_.on_connected();
  EXPECT_FALSE(availability_.is_away());
  EXPECT_TRUE(availability_.old_answers_will_do()) << "nobody waits yet";
  now_ += Availability::kReturn;
  EXPECT_FALSE(availability_.old_answers_will_do());
}

// What waited for the connection says nothing of the database behind it.
TEST_F(Database, HasAnsweredInTimeWhenItWasSentLate) {
  Availability::Question question = availability_.on_asked();
  availability_.on_failure();
  now_ += 2 * Availability::kPatience;
  availability_.on_connected();
  EXPECT_TRUE(availability_.is_away()) << "the question is not answered yet";
  availability_.on_sent(question);
  now_ += Availability::kPatience - kMoment;
  availability_.on_answer(std::move(question));
  EXPECT_FALSE(availability_.is_away());
}

TEST_F(Database, IsAwayWhenItAnswersLate) {
  Availability::Question question = availability_.on_asked();
  now_ += Availability::kPatience;
  availability_.on_answer(std::move(question));
  EXPECT_TRUE(availability_.is_away());
}

TEST_F(Database, OwesNoAnswerToAQuestionThatWasDropped) {
  availability_.on_failure();
  {
    const Availability::Question dropped = availability_.on_asked();
    availability_.on_connected();
    EXPECT_TRUE(availability_.is_away());
  }
  availability_.on_connected();
  EXPECT_FALSE(availability_.is_away());
}

}  // namespace
}  // namespace lmtpd::lookup
