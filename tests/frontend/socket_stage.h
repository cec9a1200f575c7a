// tests/frontend/socket_stage.h -- a Connection and its client at the two ends of a socket, or of
// TLS on one.
//
// Both run in the test's thread, on one loop. The client sends no piece before the server has taken
// the one before, so that what is cut comes as it was cut.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string>

#include "lmtpd/event/event_ptr.h"
#include "lmtpd/frontend/connection.h"
#include "tests/frontend/scripted_services.h"
#include "tests/frontend/tls_fixture.h"
#include "tests/session/performance.h"

namespace lmtpd::frontend {

// tls: over TCP, from the first octet.
enum class Transport { unix_socket, tcp, tls };
inline constexpr std::array kTransports{Transport::unix_socket, Transport::tcp, Transport::tls};
// For a test's name.
[[nodiscard]] const char* name_of(Transport transport);

class SocketStage final : public session::Stage {
 public:
  // `dialogue` can be performed over `transport`.
  SocketStage(Transport transport, session::Manner manner, const session::Dialogue& dialogue);

  [[nodiscard]] bool has_scripted_clock() const override { return false; }

  void begin(const session::Settings& settings, const session::Peer& peer) override;
  void send(std::string_view octets) override;
  void send_in_one_piece(std::string_view octets) override;
  void begin_tls(std::string_view how) override;
  void shut_down() override;
  void wait(std::chrono::milliseconds span) override;
  [[nodiscard]] std::optional<std::string> read_line() override;
  [[nodiscard]] bool closed() override { return ended_ && !said_all_; }
  void end() override;

  // The client leaves what is sent to it in the socket, or reads it again.
  void stop_reading() { event_del(heard_.get()); }
  void read_again() { event_add(heard_.get(), nullptr); }
  // It says that nothing more follows. All pieces were sent.
  void say_farewell();
  // Octets that the server has not taken from its socket.
  [[nodiscard]] std::size_t octets_before_server() const;

 private:
  static void on_heard(evutil_socket_t, short, void* self) noexcept;
  static void on_silence(evutil_socket_t, short, void* self) noexcept;
  void hear();
  [[nodiscard]] bool push();
  void transmit(std::string_view octets);
  [[nodiscard]] bool answer();
  void turn();
  void await_event();

  const Transport transport_;
  const std::size_t piece_;  // octets that are sent at a time
  const bool shows_certificate_;
  const bool unsaid_tls_;  // the dialogue is the same as in the clear
  const EventBasePtr base_{event_base_new()};
  std::optional<ScriptedServices> services_;
  std::optional<Connection> connection_;
  int server_ = -1;  // connection_'s
  UniqueFd client_;
  EventPtr heard_;
  EventPtr silence_;
  std::optional<TlsClient> tls_;
  std::deque<std::string> unsent_;  // pieces
  std::string received_;            // by the client
  std::size_t read_ = 0;            // octets of that
  bool said_all_ = false;
  bool ended_ = false;  // by the server
};

}  // namespace lmtpd::frontend
