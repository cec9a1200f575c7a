// tests/frontend/scripted_services.h -- what one Connection asks of its Services, and of lookup,
// answered as a script for a bare session says.
//
// What the script cannot know is put back before it is kept: the date in Received, and there, where
// the script is one of a session in the clear, what TLS adds (RFC 3848).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/frontend/client_places.h"
#include "lmtpd/frontend/connection.h"
#include "tests/session/scripted_backend.h"

namespace lmtpd::frontend {

class ScriptedServices final : public Services, public Questions {
 public:
  // `backend` has its whole script, and outlives this. `unsaid_tls`: the session is in TLS, which
  // the script does not say.
  ScriptedServices(session::ScriptedBackend& backend, bool unsaid_tls);

  // For the one connection: others hold its place until so many MAILs as the script says are
  // refused.
  [[nodiscard]] ClientPlaces& places() { return places_; }
  [[nodiscard]] RecipientRoom& recipients() { return recipients_; }
  [[nodiscard]] const NetworkList& trusted_clients() const { return trusted_clients_; }
  // It is to be destroyed.
  [[nodiscard]] bool finished() const { return finished_; }
  // Gives `connection` the answer that is due first. False: none is owed.
  bool answer_next(Connection& connection);

  void resolve(std::uint64_t, std::uint64_t request, const std::string&,
               std::string address) override;
  void abandon(std::uint64_t) override {}
  void begin_auth(std::uint64_t, const session::AuthStart& start) override;
  void respond_auth(std::uint64_t, std::string_view response) override;
  void end_auth(std::uint64_t) override;
  [[nodiscard]] bool book(const MessageName& message, std::uint64_t octets) override;
  void release(const MessageName& message) override;
  void deliver(const MessageName& message, Body octets, std::vector<session::Copy> copies) override;
  void on_place_taken(std::uint64_t) override {}
  void count(Counter counter) override { backend_.count(counter); }
  void log(std::string_view line) override;
  void on_finished(std::uint64_t) override { finished_ = true; }

 private:
  [[nodiscard]] session::Copy as_scripted(session::Copy copy) const;

  session::ScriptedBackend& backend_;
  const bool unsaid_tls_;
  ClientPlaces places_{1, 1};
  RecipientRoom recipients_{1 << 20};
  NetworkList trusted_clients_;
  std::optional<ClientPlace> others_;
  bool finished_ = false;
};

}  // namespace lmtpd::frontend
