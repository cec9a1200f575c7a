// Performs every dialogue of tests/session/dialogues over a unix socket, over TCP, and in TLS over
// TCP, as tests/session/dialogue_test.cc does with a bare session: each transcript must be the one
// that it has there.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/frontend/socket_stage.h"
#include "tests/session/bare_stage.h"

namespace lmtpd::frontend {
namespace {

using session::Dialogue;
using session::Manner;
using session::Place;

struct Case {
  Dialogue dialogue;
  Transport transport;
  Manner manner;
  std::string name;
};

// Named in a failure instead of its bytes.
void PrintTo(const Case& value, std::ostream* out) { *out << value.dialogue.title; }

bool suits(const Dialogue& dialogue, Transport transport) {
  switch (dialogue.place) {
    case Place::anywhere:
      return true;
    case Place::session:
      return false;
    case Place::clear:
      return transport != Transport::tls;
    case Place::tls:
      break;
  }
  return transport == Transport::tls;
}

class Transcripts : public testing::TestWithParam<Case> {};

TEST_P(Transcripts, AreTheSameOverASocket) {  // B15, E2-E6, H1-H19
  const auto& [dialogue, transport, manner, name] = GetParam();
  SocketStage stage(transport, manner, dialogue);
  const std::string transcript = perform(dialogue, manner, stage);
  session::BareStage bare(Manner::stepwise);
  EXPECT_EQ(transcript, perform(dialogue, Manner::stepwise, bare));
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Dialogue& dialogue : session::read_dialogues(LMTPD_DIALOGUES)) {
    for (const Transport transport : kTransports) {
      for (const Manner manner : {Manner::stepwise, Manner::bytewise, Manner::pipelined}) {
        if (!suits(dialogue, transport)) continue;
        all.push_back({dialogue, transport, manner,
                       name_of(dialogue) + "_" + name_of(transport) + "_" + name_of(manner)});
      }
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Frontend, Transcripts, testing::ValuesIn(cases()),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace lmtpd::frontend
