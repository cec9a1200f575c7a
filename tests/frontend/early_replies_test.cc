// What a client has in its hands while the rest of its message is still being delivered, over every
// transport.
#include <gtest/gtest.h>

#include "tests/frontend/socket_stage.h"

namespace lmtpd::frontend {
namespace {

class EarlyReplies : public testing::TestWithParam<Transport> {
 protected:
  std::string read() { return stage_.read_line().value_or("none").substr(0, 9); }

  SocketStage stage_{GetParam(), session::Manner::pipelined, {}};
};

TEST_P(EarlyReplies, ReachTheClientBeforeTheOutcomeOfTheNextRecipient) {  // A13
  using Duration = session::ScriptedBackend::Duration;
  session::ScriptedBackend& backend = stage_.backend();
  for (const char* name : {"a", "b", "c"})
    backend.add_mailbox(std::string(name) + "@x.org", {name});
  backend.outcomes["a"] = {{}, Duration(10)};
  backend.outcomes["b"] = {fail(Reason::over_quota, ""), Duration(20)};
  backend.outcomes["c"] = {{}, Duration(30)};
  stage_.begin({.hostname = "mx.test"}, {});
  stage_.send(
      "LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nRCPT TO:<b@x.org>\r\nRCPT TO:<c@x.org>\r\n"
      "DATA\r\n.\r\n");
  while (read() != "354 End d") continue;
  // read_line() has a further answer given only where the client has nothing to read.
  EXPECT_EQ(read(), "250 2.0.0");
  EXPECT_EQ(backend.owed(), 2U);
  EXPECT_EQ(read(), "552 5.2.2");
  EXPECT_EQ(backend.owed(), 1U);
  EXPECT_EQ(read(), "250 2.0.0");
  EXPECT_EQ(backend.owed(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Frontend, EarlyReplies, testing::ValuesIn(kTransports),
                         [](const auto& one) { return name_of(one.param); });

}  // namespace
}  // namespace lmtpd::frontend
