// tests/session/bare_stage.h -- a session and its client without anything between them, on a fake
// clock.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tests/session/client.h"
#include "tests/session/performance.h"

namespace lmtpd::session {

class BareStage final : public Stage {
 public:
  explicit BareStage(Manner manner);

  [[nodiscard]] bool has_scripted_clock() const override { return true; }

  void begin(const Settings& settings, const Peer& peer) override;
  void send(std::string_view octets) override { client_->send(octets); }
  // What is not taken stays with the client, as if it had not come.
  void send_in_one_piece(std::string_view octets) override { client_->send(octets); }
  void begin_tls(std::string_view how) override;
  void shut_down() override { session_->shut_down(); }
  void wait(std::chrono::milliseconds span) override;
  [[nodiscard]] std::optional<std::string> read_line() override { return client_->read_line(); }
  [[nodiscard]] bool closed() override { return session_->closing(); }
  void end() override;

 private:
  const std::size_t piece_;
  std::optional<Session> session_;
  std::optional<Client> client_;
};

}  // namespace lmtpd::session
