// tests/lookup/authenticator_fixture.h -- an Authenticator with two tables, and its client.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/base64.h"
#include "lookup/authenticator.h"
#include "tests/lookup/fake_table.h"

namespace lmtpd::lookup {

inline constexpr auto kDes = "{DES-CRYPT}secleh8igablY";  // "pencil"

// Time is real, but nobody waits for it: what waits for FailureRecord is seen not to have happened.
class AuthenticatorTest : public testing::Test, public Authenticator::Client {
 protected:
  using Kind = AuthStep::Kind;

  explicit AuthenticatorTest(std::size_t window = kAuthWindow) : window_(window) {}

  struct Step {
    std::uint64_t id;
    Kind kind;
    std::string text;
  };

  void on_auth_step(std::uint64_t id, Kind kind, std::string_view text) override {
    steps_.push_back({id, kind, std::string(text)});
  }

  void begin(std::uint64_t id, std::string_view mechanism, std::string_view response,
             const std::string& address = "192.0.2.1") {
    EXPECT_TRUE(authenticator_.begin(*this, {.id = id,
                                             .address = address,
                                             .mechanism = mechanism,
                                             .has_response = true,
                                             .response = response}));
  }
  void plain(std::uint64_t id, const std::string& user, const std::string& password,
             const std::string& address = "192.0.2.1") {
    begin(id, "PLAIN", '\0' + user + '\0' + password, address);
  }
  // Turns the loop until there are `count` steps.
  void wait_for(std::size_t count) {
    while (steps_.size() < count) event_base_loop(base_.get(), EVLOOP_ONCE);
  }
  Kind outcome(const std::string& user, const std::string& password) {
    // Each from an address of its own, so that none waits for the failures of another.
    const auto id = ++last_id_;
    const std::size_t before = steps_.size();
    plain(id, user, password, "192.0.2." + std::to_string(id));
    wait_for(before + 1);
    EXPECT_EQ(steps_.back().id, id);
    return steps_.back().kind;
  }
  // What SCRAM's first message draws.
  std::string server_first(const std::string& user) {
    const auto id = ++last_id_;
    begin(id, "SCRAM-SHA-256", "n,,n=" + user + ",r=abc", "198.51.100." + std::to_string(id));
    EXPECT_EQ(steps_.back().kind, Kind::challenge);
    authenticator_.end(*this, id);
    const std::string text = steps_.back().text;
    return text.substr(text.find(",s="));
  }

  // What answers the challenge of a SCRAM exchange with this user's name, and a wrong proof.
  std::string challenged(std::uint64_t id, const std::string& user) {
    begin(id, "SCRAM-SHA-256", "n,,n=" + user + ",r=abc");
    EXPECT_EQ(steps_.back().kind, Kind::challenge);
    const std::string& text = steps_.back().text;
    return "c=biws," + text.substr(0, text.find(',')) + ",p=" + to_base64(std::string(32, 'x'));
  }
  // The user's, of each table.
  std::vector<int> asked_for(const std::string& user) {
    const int first = table_.asked();
    const int second = second_table_.asked();
    EXPECT_EQ(outcome(user, "wrong"), Kind::refused);
    return {table_.asked() - first, second_table_.asked() - second};
  }

  const std::size_t window_;
  EventBasePtr base_{event_base_new()};
  FakeTable table_{"fake:passwords", {{"tim", kDes}}};
  FakeTable second_table_{"fake:more", {{"sue", kDes}, {"tim", "{CRYPT}*"}}};
  std::atomic<int> hashes_ = 0;
  std::atomic<int> verifiers_ = 0;
  Authenticator authenticator_{
      base_.get(),
      {{&table_, &second_table_}, {"PLAIN", "LOGIN", "SCRAM-SHA-256"}, Key{}, window_},
      *PasswordThreads::open([this](const StoredPassword& stored, std::string_view password) {
        ++(stored.scram() != nullptr ? verifiers_ : hashes_);
        return stored.matches(password);
      })};
  std::vector<Step> steps_;
  std::uint64_t last_id_ = 0;
};

}  // namespace lmtpd::lookup
