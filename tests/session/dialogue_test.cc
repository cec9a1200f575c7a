// Performs every dialogue three times with a bare session: each command when its turn comes, octet
// by octet, and with all that the client says offered at once, unless something happens between two
// commands. The replies must be the same.
// tests/frontend/transcripts_test.cc does the same over sockets.
#include <gtest/gtest.h>

#include <vector>

#include "tests/session/client.h"
#include "tests/session/performance.h"

namespace lmtpd::session {
namespace {

class BareStage final : public Stage {
 public:
  explicit BareStage(Manner manner) : piece_(manner == Manner::bytewise ? 1 : SIZE_MAX) {}

  [[nodiscard]] bool has_scripted_clock() const override { return true; }

  void begin(const Settings& settings, const Peer& peer) override {
    session_.emplace(settings, "S1", peer, backend());
    client_.emplace(*session_, backend(), piece_);
  }
  void send(std::string_view octets) override { client_->send(octets); }
  // What is not taken stays with the client, as if it had not come.
  void send_in_one_piece(std::string_view octets) override { client_->send(octets); }
  void begin_tls(std::string_view how) override {
    ASSERT_TRUE(session_->wants_tls());
    EXPECT_FALSE(session_->wants_input());
    client_->discard();
    if (how == "failed") return session_->on_tls_failed("wrong\nversion");
    TlsFacts facts{"TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, 256};
    if (how == "verified" || how == "untrusted") {
      facts.client = how == "verified" ? TlsFacts::Client::verified : TlsFacts::Client::untrusted;
      facts.client_name = "mx\") (by";
      facts.client_issuer = "CA";
    }
    session_->on_tls(facts);
  }
  void shut_down() override { session_->shut_down(); }
  void wait(std::chrono::milliseconds span) override {
    backend().advance(span);
    backend().answer_due(*session_);
    if (backend().now() >= session_->deadline()) session_->on_deadline();
  }
  [[nodiscard]] std::optional<std::string> read_line() override { return client_->read_line(); }
  [[nodiscard]] bool closed() override { return session_->closing(); }
  void end() override {
    while (backend().answer_next(*session_)) client_->push();
    if (!session_->closing()) {
      EXPECT_EQ(client_->unsent(), 0U);
    }
  }

 private:
  const std::size_t piece_;
  std::optional<Session> session_;
  std::optional<Client> client_;
};

struct Case {
  Dialogue dialogue;
  Manner manner;
};

// Named in a failure instead of its bytes.
void PrintTo(const Case& value, std::ostream* out) { *out << value.dialogue.title; }

class Dialogues : public ::testing::TestWithParam<Case> {};

TEST_P(Dialogues, Holds) {  // A11, B15, B41, E2, E3, E5, E6, F1-F4, F6
  BareStage stage(GetParam().manner);
  perform(GetParam().dialogue, GetParam().manner, stage);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Dialogue& dialogue : read_dialogues(LMTPD_DIALOGUES)) {
    for (const Manner manner : {Manner::stepwise, Manner::bytewise, Manner::pipelined}) {
      if (suits(dialogue, manner)) all.push_back({dialogue, manner});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Session, Dialogues, ::testing::ValuesIn(cases()), [](const auto& one) {
  return name_of(one.param.dialogue) + "_" + name_of(one.param.manner);
});

}  // namespace
}  // namespace lmtpd::session
