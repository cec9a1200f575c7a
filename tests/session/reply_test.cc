#include "lmtpd/session/reply.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/session/enhanced_codes.h"

namespace lmtpd::session {
namespace {

TEST(ReplyTable, EveryReasonHasACodeOfItsOwnClass) {  // F2, F5, F6
  for (int i = 0; i <= static_cast<int>(kLastReason); ++i) {
    const Reply reply = reply_to({static_cast<Reason>(i), ""}, false);
    EXPECT_GE(reply.code, 400);
    EXPECT_EQ(std::to_string(reply.code)[0], reply.enhanced[0]) << i;
    EXPECT_TRUE(is_registered(reply.enhanced)) << reply.enhanced;
    EXPECT_FALSE(reply.text.empty()) << i;
  }
}

TEST(ReplyTable, SaysWhatTheErrorSays) {
  EXPECT_EQ(reply_line(reply_to({Reason::lookup_failed, "no server"}, false)),
            "451 4.3.0 no server");
  EXPECT_EQ(reply_line(reply_to({Reason::lookup_failed, ""}, false)),
            "451 4.3.0 Temporary lookup failure");
}

TEST(ReplyTable, OverQuotaFollowsItsParameter) {
  EXPECT_EQ(reply_line(reply_to({Reason::over_quota, ""}, false)), "552 5.2.2 Mailbox is full");
  EXPECT_EQ(reply_line(reply_to({Reason::over_quota, ""}, true)), "452 4.2.2 Mailbox is full");
}

TEST(ReplyTable, ATransportRowBringsItsStatus) {
  const auto error = [](const char* text) {
    return reply_line(reply_to({Reason::transport_error, text}, false));
  };
  EXPECT_EQ(error("5.1.2 no such host"), "550 5.1.2 no such host");
  EXPECT_EQ(error("5.7.123"), "550 5.7.123 Mail is not accepted here");
  EXPECT_EQ(error("gone"), "550 5.0.0 gone");
  EXPECT_EQ(error(""), "550 5.0.0 Mail is not accepted here");
  EXPECT_EQ(error("4.1.2 x"), "550 5.0.0 4.1.2 x");    // not of this class
  EXPECT_EQ(error("5.01.2 x"), "550 5.0.0 5.01.2 x");  // F5
  EXPECT_EQ(error("5.1.1234 x"), "550 5.0.0 5.1.1234 x");
  EXPECT_EQ(error("5.1. x"), "550 5.0.0 5.1. x");
  EXPECT_EQ(error("5.1.2x"), "550 5.0.0 5.1.2x");
  EXPECT_EQ(reply_line(reply_to({Reason::transport_retry, "4.4.1 later"}, false)),
            "451 4.4.1 later");
}

TEST(ReplyTable, AmongSeveralMailboxesNothingBounces) {
  for (int i = 0; i <= static_cast<int>(kLastReason); ++i) {
    const Reply reply = deferring_reply_to({static_cast<Reason>(i), ""});
    EXPECT_EQ(reply.code / 100, 4) << i;
    EXPECT_EQ(reply.enhanced[0], '4') << i;
  }
  EXPECT_EQ(reply_line(deferring_reply_to({Reason::over_quota, ""})), "452 4.2.2 Mailbox is full");
  EXPECT_EQ(deferring_reply_to({Reason::unknown_user, ""}).code, 451);
}

TEST(ReplyLine, FitsALineAndHoldsNoControl) {  // B41, J10
  const Reply reply(451, "4.3.0", "a\r\nb\x7F\xC3\xB6" + std::string(1000, 'x'));
  const std::string line = reply_line(reply);
  EXPECT_EQ(line.size(), 510U);
  EXPECT_TRUE(line.starts_with("451 4.3.0 a??b???x"));
}

TEST(ReplyLine, LeavesAMissingEnhancedCodeOut) {  // F3
  EXPECT_EQ(reply_line(kStartData), "354 End data with <CR><LF>.<CR><LF>");
}

TEST(ReplyLine, MultilineHasHyphensButInTheLast) {
  const std::string lines[] = {"mx", "PIPELINING", "SIZE 0"};
  EXPECT_EQ(multiline_reply(250, lines), "250-mx\r\n250-PIPELINING\r\n250 SIZE 0\r\n");
}

}  // namespace
}  // namespace lmtpd::session
