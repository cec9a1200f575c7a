#include "lmtpd/master/start_failure.h"

#include <gtest/gtest.h>

#include "lmtpd/base/log.h"

namespace lmtpd::master {
namespace {

TEST(StartFailure, EachOfItsLinesIsOneOfTheLog) {
  testing::internal::CaptureStderr();
  log_line(Severity::error, "first");
  log_line(Severity::error, "second");
  const std::string lines = testing::internal::GetCapturedStderr();
  for (const char* text : {"first\nsecond", "first\nsecond\n"}) {
    testing::internal::CaptureStderr();
    log_failure({EX_CONFIG, text});
    EXPECT_EQ(testing::internal::GetCapturedStderr(), lines);
  }
}

}  // namespace
}  // namespace lmtpd::master
