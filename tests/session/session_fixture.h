// tests/session/session_fixture.h -- a session with a client and a scripted backend.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lmtpd/session/session.h"
#include "tests/session/client.h"
#include "tests/session/scripted_backend.h"

namespace lmtpd::session {

class SessionTest : public ::testing::Test {
 protected:
  using Duration = ScriptedBackend::Duration;

  SessionTest() {
    settings_.hostname = "mx.test";
    for (const char* name : {"a", "b", "c"}) backend_.add_mailbox(address(name), {name});
  }
  ~SessionTest() override { EXPECT_EQ(backend_.breaches(), std::vector<std::string>()); }

  static std::string address(const std::string& name) { return name + "@x.org"; }

  void start() {
    session_ = std::make_unique<Session>(settings_, "S1", Peer{}, backend_);
    if (settings_.tls_first) session_->on_tls({"TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, 256});
    client_ = std::make_unique<Client>(*session_, backend_, SIZE_MAX);
    client_->send("LHLO c\r\n");
    std::string last;
    while (const auto line = client_->read_line_now()) last = *line;
    EXPECT_TRUE(last.starts_with("250 ")) << last;
  }

  // Where PLAIN is offered, and the backend answers so.
  void start_with_auth(std::vector<AuthStep> steps) {
    backend_.auth_steps = std::move(steps);
    settings_.auth_mechanisms = {"PLAIN"};
    settings_.auth = AuthUse::offered;
    settings_.tls_first = true;
    start();
  }

  // To the point where the message is due.
  void start_message(const std::vector<std::string>& names) {
    start();
    std::string group = "MAIL FROM:<s@y.org>\r\n";
    for (const std::string& name : names) group += "RCPT TO:<" + address(name) + ">\r\n";
    client_->send(group + "DATA\r\n");
    std::string last;
    for (std::size_t i = 0; i < names.size() + 2; ++i) last = client_->read_line().value_or("none");
    EXPECT_EQ(last.substr(0, 3), "354");
  }

  // The first line that it is answered, as reply_now().
  std::string ask(const std::string& command) {
    client_->send(command + "\r\n");
    return client_->read_line().value_or("none").substr(0, 9);
  }

  std::string reply_now() { return client_->read_line_now().value_or("none").substr(0, 9); }

  Settings settings_;
  ScriptedBackend backend_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Client> client_;
};

}  // namespace lmtpd::session
