// lmtpd/frontend/connection.h -- one client: its socket on the one side, its session on the other.
//
// It moves octets between them, in TLS where the session wants it, and is the session's Backend:
// what the session asks for it asks of Questions and Services, who answer by the name of the
// connection. It holds one buffer a direction, bounded (connection.cc says by what), and the bodies
// that come in, as far as they are booked. A client that takes no reply for session_timeout, or is
// gone, ends it; what was handed over for delivery is waited for in any case.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "lmtpd/base/config/network_list.h"
#include "lmtpd/base/unique_fd.h"
#include "lmtpd/event/event_ptr.h"
#include "lmtpd/frontend/body.h"
#include "lmtpd/frontend/client_places.h"
#include "lmtpd/frontend/message_name.h"
#include "lmtpd/frontend/questions.h"
#include "lmtpd/frontend/recipient_room.h"
#include "lmtpd/frontend/tls_context.h"
#include "lmtpd/frontend/tls_stream.h"
#include "lmtpd/session/session.h"

namespace lmtpd::frontend {

// What connections share, and ask of: room for messages, their delivery, and to be told of.
class Services {
 public:
  // As Spool's: where false, on_booked() or on_booking_refused() follows, or has been called
  // within. Until release() or deliver(), on_booking_lost() may come at any time, in place of them
  // or unasked.
  [[nodiscard]] virtual bool book(const MessageName& message, std::uint64_t octets) = 0;
  virtual void release(const MessageName& message) = 0;
  // The booking goes along, and is released when all copies are done.
  virtual void deliver(const MessageName& message, Body octets,
                       std::vector<session::Copy> copies) = 0;
  // Its MAIL is taken; told at each one.
  virtual void on_place_taken(std::uint64_t connection) = 0;
  // It happened once more.
  virtual void count(Counter counter) = 0;
  // A line of the log.
  virtual void log(std::string_view line) = 0;
  // Nothing that was handed over is under way: destroy the connection, but not from within this
  // call. Recipients may still be looked up.
  virtual void on_finished(std::uint64_t connection) = 0;

 protected:
  ~Services() = default;
};

class Connection final : private session::Backend {
 public:
  struct Client {
    UniqueFd socket;  // connected and non-blocking
    session::Peer peer;
    std::string key;  // whose place it takes
    std::string session_id;
  };
  // Of all who come by one door; what it refers to outlives them.
  struct Terms {
    const session::Settings& settings;
    const TlsContext* tls;  // there if the settings have it
    ClientPlaces& places;
    RecipientRoom& recipients;
    const NetworkList& trusted_clients;
    Questions& lookup;
  };
  // `name` is unique among the frontend's connections.
  Connection(event_base* base, std::uint64_t name, Client client, const Terms& terms,
             Services& services);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // What it has in common with others of its client.
  [[nodiscard]] const std::string& client() const { return place_.client(); }

  void on_resolved(std::uint64_t request, Result<std::vector<session::Mailbox>> mailboxes);
  void on_auth_step(session::AuthStep step);
  void on_booked(std::uint64_t body);
  void on_booking_refused(std::uint64_t body);
  void on_booking_lost(std::uint64_t body);
  [[nodiscard]] std::uint64_t on_reclaim(std::uint64_t body);
  void on_copy_done(std::uint64_t body, std::size_t copy, Result<void> outcome);
  void shut_down();
  // Ends a session that has sent no mail, at once: 421 is said to a client that has read the
  // replies before.
  void turn_away();
  // Once a second: ends a session that waits, for room or for an answer, and whose client is gone.
  void on_tick();

 private:
  struct Receiving {
    Body octets;
    std::uint64_t booked = 0;  // of them; the copies' room is beside it
  };
  // on_body_ready(), or on_body_refused() where there is an error.
  struct BodyAnswer {
    std::uint64_t body;
    Result<void> ready;
  };

  // session::Backend
  Clock::time_point now() override;
  std::time_t wall_clock() override;
  bool is_trusted(const std::string& address) override { return trusted_clients_.matches(address); }
  bool may_send_mail() override;
  void start_resolve(std::uint64_t id, const Address& recipient) override;
  void start_auth(const session::AuthStart& start) override;
  void continue_auth(std::string_view response) override;
  void end_auth() override;
  bool hold_recipients(std::uint64_t octets) override { return recipients_.add(octets); }
  void free_recipients(std::uint64_t octets) override { recipients_.give_back(octets); }
  void start_body(std::uint64_t id, std::uint64_t octets, std::size_t copies) override;
  bool append_body(std::uint64_t id, std::string_view octets) override;
  void drop_body(std::uint64_t id) override;
  void start_delivery(std::uint64_t id, std::vector<session::Copy> copies) override;
  void count(Counter counter) override { services_.count(counter); }
  void log(std::string_view line) override;

  static void on_readable(evutil_socket_t, short, void* self) noexcept;
  static void on_progress(evutil_socket_t, short, void* self) noexcept;
  static void on_timer(evutil_socket_t, short, void* self) noexcept;
  void meet_deadlines();
  void read();
  void receive();
  void take(std::string_view octets);
  void begin_tls();
  void take_protected(std::string_view octets);
  [[nodiscard]] std::string take_output();
  void progress();
  void free_buffers();
  [[nodiscard]] bool may_feed() const;
  void feed();
  void write();
  [[nodiscard]] bool takes_input() const;
  [[nodiscard]] bool is_over() const;
  void finish();
  void schedule();
  void arm_timer();
  void lose_client();
  [[nodiscard]] Clock::time_point write_deadline() const;
  void answer_body(std::uint64_t id, Result<void> ready);

  UniqueFd socket_;
  std::uint64_t name_;
  Services& services_;
  Questions& lookup_;
  ClientPlace place_;
  RecipientHold recipients_;  // of the transaction
  const NetworkList& trusted_clients_;
  const TlsContext* tls_context_;
  std::optional<TlsStream> tls_;  // from the handshake on
  session::Session session_;
  std::string unread_;    // received, and not yet consumed by the session
  std::string unsent_;    // taken from the session, protected where there is TLS, and not yet sent
  bool reading_ = false;  // readable_ is waited for
  bool end_of_input_ = false;
  bool client_gone_ = false;  // takes no reply either
  bool finished_ = false;
  bool authenticating_ = false;  // an exchange is not over
  std::size_t resolving_ = 0;    // recipients
  std::size_t delivering_ = 0;   // copies
  std::unordered_map<std::uint64_t, Receiving> bodies_;
  std::vector<BodyAnswer> answers_;   // owed to the session
  const std::uint64_t largest_body_;  // octets
  const std::chrono::milliseconds write_timeout_;
  Clock::time_point sent_at_ = Clock::now();  // when the client last took octets, or got new ones
  Clock::time_point timer_due_ = Clock::time_point::max();
  EventPtr readable_;
  EventPtr writable_;
  EventPtr progress_;
  EventPtr timer_;
};

}  // namespace lmtpd::frontend
