// lookup/frontend_link.h -- lookup's side of its channel to one frontend.
//
// The frontend is the part of lmtpd that strangers talk to, and is not trusted: what it may not
// send, or more than it may, ends the channel. It never names a uid or a path, it only shows
// tickets.
#pragma once

#include <cstdint>
#include <vector>

#include "lmtpd/base/messages.h"
#include "lmtpd/event/event_channel.h"
#include "lookup/authenticator.h"
#include "lookup/note_log.h"
#include "lookup/resolver.h"
#include "lookup/ticket_office.h"

namespace lmtpd::lookup {

class FrontendLink final : private EventChannel::Owner,
                           private Resolver::Client,
                           private Authenticator::Client {
 public:
  class Owner {
   public:
    // The frontend showed a valid ticket of this owner's.
    virtual void on_worker_wanted(std::uint32_t frontend, MailboxOwner owner) = 0;
    virtual void on_notes(const std::vector<Note>& notes) = 0;
    // The channel is gone. May destroy the link.
    virtual void on_frontend_gone(std::uint32_t frontend) = 0;

   protected:
    ~Owner() = default;
  };

  // All but `socket` outlive the link.
  FrontendLink(event_base* base, UniqueFd socket, std::uint32_t frontend, Resolver& resolver,
               Authenticator& authenticator, const TicketOffice& tickets, Owner& owner);
  ~FrontendLink();
  FrontendLink(const FrontendLink&) = delete;
  FrontendLink& operator=(const FrontendLink&) = delete;

 private:
  void on_packet(EventChannel& channel, Packet& packet) override;
  void on_closed(EventChannel& channel) override;
  void on_outcome(std::uint64_t id, const Resolution& resolution) override;
  void on_auth_step(std::uint64_t id, AuthStep::Kind kind, std::string_view text) override;

  // False: the frontend broke the rules.
  [[nodiscard]] bool take(const Frame& frame);
  [[nodiscard]] bool take_resolve(const Frame& frame);
  [[nodiscard]] bool take_want_worker(const Frame& frame);
  [[nodiscard]] bool take_authenticate(const Frame& frame);
  [[nodiscard]] bool take_auth_response(const Frame& frame);
  [[nodiscard]] bool take_auth_end(const Frame& frame);
  void answer(std::uint64_t id, const Resolution& resolution);
  void refuse(std::uint64_t id, const Error& error);

  std::uint32_t frontend_;
  Resolver& resolver_;
  Authenticator& authenticator_;
  const TicketOffice& tickets_;
  Owner& owner_;
  std::size_t unanswered_ = 0;
  EventChannel channel_;
};

}  // namespace lmtpd::lookup
