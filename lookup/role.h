// lookup/role.h -- the lookup role: resolves for frontends, issues tickets, has workers started.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/counters.h"
#include "lmtpd/base/role_start.h"
#include "lmtpd/event/event_channel.h"
#include "lookup/authenticator.h"
#include "lookup/control_connection.h"
#include "lookup/explanation.h"
#include "lookup/frontend_link.h"
#include "lookup/note_log.h"
#include "lookup/resolver.h"
#include "lookup/socketmap_connection.h"
#include "lookup/stream_server.h"
#include "lookup/ticket_office.h"

namespace lmtpd::lookup {

class Role final : private EventChannel::Owner, private FrontendLink::Owner {
 public:
  struct Listeners {
    UniqueFd control;  // lmtpctl's; none: it is not served
    std::vector<UniqueFd> socketmap;
  };

  // `control` is master's channel, read as far as Start. The base, the resolver's settings with
  // their tables, the cache, the counters and the authenticator outlive the role.
  Role(event_base* base, Channel control, const Settings& settings, const Key& ticket_key,
       const ResolverSettings& resolver, CacheControl& cache, const CounterReader& counters,
       Authenticator& authenticator, Listeners listeners);

  // Says Ready, and serves until master says Stop (0) or is gone (1): frontends as they are
  // introduced, the listeners from Serve on, and those of socketmap until Retire.
  [[nodiscard]] int run();

 private:
  void on_packet(EventChannel& channel, Packet& packet) override;
  void on_closed(EventChannel& channel) override;
  void on_worker_wanted(std::uint32_t frontend, MailboxOwner owner) override;
  void on_notes(const std::vector<Note>& notes) override;
  void on_frontend_gone(std::uint32_t frontend) override;

  // False: master sent what it should not.
  [[nodiscard]] bool take(Frame& frame);
  [[nodiscard]] bool take_introduce(Frame& frame);

  event_base* base_;
  Resolver resolver_;
  Authenticator& authenticator_;
  Explainer explainer_;
  TicketOffice tickets_;
  NoteLog notes_;
  std::map<std::uint32_t, std::unique_ptr<FrontendLink>> frontends_;
  StreamServer<ControlConnection> control_server_;
  Inquiries<MapReply> map_inquiries_;
  std::vector<std::unique_ptr<StreamServer<SocketmapConnection>>> socketmap_servers_;
  EventChannel master_;
  int status_ = 1;
};

}  // namespace lmtpd::lookup
