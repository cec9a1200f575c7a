// lmtpd/frontend/frontend.h -- the role that speaks to clients: it joins doors, connections, spool,
// lookup and workers.
//
// Each of them knows the others by name only: a connection by its number, a message by MessageName.
// What is told of one that is gone is dropped here. A connection is destroyed from the loop, never
// from within what it calls.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "lmtpd/base/config/network_list.h"
#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/counters.h"
#include "lmtpd/base/role_start.h"
#include "lmtpd/event/event_channel.h"
#include "lmtpd/frontend/connection.h"
#include "lmtpd/frontend/deliveries.h"
#include "lmtpd/frontend/doors.h"
#include "lmtpd/frontend/lookup_link.h"
#include "lmtpd/frontend/recipient_room.h"
#include "lmtpd/frontend/spool.h"
#include "lmtpd/frontend/strangers.h"
#include "lmtpd/frontend/tls_context.h"

namespace lmtpd::frontend {

class Frontend final : public Doors::Owner,
                       public Services,
                       public LookupLink::Asker,
                       public Deliveries::Sender,
                       public Spool::Waiter,
                       public EventChannel::Owner {
 public:
  // On `base`, which outlives it and is its alone. `listening` are the sockets of settings.listen,
  // by their index there. `tls` is there if settings.uses_tls().
  Frontend(event_base* base, const Settings& settings, NetworkList trusted_clients,
           std::optional<TlsContext> tls, std::uint32_t instance, Counters counters,
           Channel control, std::vector<RoleStart::Listening> listening);

  // Serves from master's Serve until it says Stop and all is answered, or master is gone; then it
  // breaks the loop.
  void run();

 private:
  static void on_tick(evutil_socket_t, short, void* self) noexcept;
  static void on_reap(evutil_socket_t, short, void* self) noexcept;
  static void on_log(evutil_socket_t, short, void*) noexcept;
  void tick();
  void tell_refused_connections();
  void reap();
  void stop();
  [[nodiscard]] std::string next_session_id();
  [[nodiscard]] Connection* find(std::uint64_t connection);

  // Doors::Owner
  void on_arrived(Arrived client) override;
  void on_nobody_awaited() override;
  [[nodiscard]] std::size_t connections() const override { return connections_.size(); }
  // Also of Services, LookupLink's Asker and Deliveries' Sender.
  void count(Counter counter) override { counters_.add(counter); }

  // Services
  [[nodiscard]] bool book(const MessageName& message, std::uint64_t octets) override;
  void release(const MessageName& message) override;
  void deliver(const MessageName& message, Body octets, std::vector<session::Copy> copies) override;
  void on_place_taken(std::uint64_t connection) override { strangers_.forget(connection); }
  void log(std::string_view line) override;
  void on_finished(std::uint64_t connection) override;

  // LookupLink::Asker
  void on_resolved(std::uint64_t connection, std::uint64_t request,
                   Result<std::vector<session::Mailbox>> mailboxes) override;
  void on_auth_step(std::uint64_t connection, session::AuthStep step) override;
  void on_lookup_lost() override;

  // Deliveries::Sender
  void on_copy_done(const MessageName& message, std::size_t copy, Result<void> outcome) override;
  void on_message_done(const MessageName& message) override;
  [[nodiscard]] bool want_worker(std::string_view ticket) override;
  void expel_worker(MailboxOwner owner) override;

  // Spool::Waiter
  void on_booked(const MessageName& message) override;
  void on_booking_refused(const MessageName& message) override;
  void on_booking_lost(const MessageName& message) override;
  std::uint64_t on_reclaim(const MessageName& message) override;

  // EventChannel::Owner: master
  void on_packet(EventChannel& channel, Packet& packet) override;
  void on_closed(EventChannel& channel) override;
  [[nodiscard]] bool on_frame(Frame& frame);

  event_base* base_;
  Counters counters_;
  std::uint32_t instance_;
  std::optional<TlsContext> tls_;
  EventChannel control_;
  Spool spool_;
  LookupLink lookup_;
  Deliveries deliveries_;
  ClientPlaces places_;
  RecipientRoom recipients_;
  ClientPlaces::Refused told_;
  Strangers strangers_;
  std::uint64_t next_connection_ = 1;
  std::uint64_t last_session_id_ = 0;
  Doors doors_;  // its settings and its trusted clients are the connections'
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;  // by name
  std::vector<std::uint64_t> finished_;                                         // of those
  EventPtr tick_;
  EventPtr reap_;
  EventPtr log_;
  bool stopping_ = false;
};

}  // namespace lmtpd::frontend
