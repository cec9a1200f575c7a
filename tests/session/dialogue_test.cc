// Performs every dialogue with a bare session in three manners: each command when its turn comes,
// octet by octet, and with all that the client says before something else happens offered at once.
// The transcripts must be the same. tests/frontend/transcripts_test.cc does the same over sockets.
#include <gtest/gtest.h>

#include <vector>

#include "tests/session/bare_stage.h"
#include "tests/session/performance.h"

namespace lmtpd::session {
namespace {

struct Case {
  Dialogue dialogue;
  Manner manner;
};

// Named in a failure instead of its bytes.
void PrintTo(const Case& value, std::ostream* out) { *out << value.dialogue.title; }

class Dialogues : public ::testing::TestWithParam<Case> {};

TEST_P(Dialogues, Holds) {  // A11, B15, B41, E2, E3, E5, E6, F1-F4, F6
  const auto& [dialogue, manner] = GetParam();
  BareStage stage(manner);
  const std::string transcript = perform(dialogue, manner, stage);
  if (manner == Manner::stepwise) return;
  BareStage first(Manner::stepwise);
  EXPECT_EQ(transcript, perform(dialogue, Manner::stepwise, first));
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Dialogue& dialogue : read_dialogues(LMTPD_DIALOGUES)) {
    for (const Manner manner : {Manner::stepwise, Manner::bytewise, Manner::pipelined}) {
      all.push_back({dialogue, manner});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Session, Dialogues, ::testing::ValuesIn(cases()), [](const auto& one) {
  return name_of(one.param.dialogue) + "_" + name_of(one.param.manner);
});

}  // namespace
}  // namespace lmtpd::session
