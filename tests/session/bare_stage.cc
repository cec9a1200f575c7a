#include "tests/session/bare_stage.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace lmtpd::session {

BareStage::BareStage(Manner manner) : piece_(manner == Manner::bytewise ? 1 : SIZE_MAX) {}

void BareStage::begin(const Settings& settings, const Peer& peer) {
  session_.emplace(settings, "S1", peer, backend());
  client_.emplace(*session_, backend(), piece_);
}

void BareStage::begin_tls(std::string_view how) {
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

void BareStage::wait(std::chrono::milliseconds span) {
  backend().advance(span);
  backend().answer_due(*session_);
  if (backend().now() >= session_->deadline()) session_->on_deadline();
}

void BareStage::end() {
  while (backend().answer_next(*session_)) client_->push();
  if (!session_->closing()) {
    EXPECT_EQ(client_->unsent(), 0U);
  }
}

}  // namespace lmtpd::session
