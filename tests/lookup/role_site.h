// tests/lookup/role_site.h -- a lookup Role over tables in memory; who derives from it is master.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lmtpd/base/messages.h"
#include "lmtpd/event/event_ptr.h"
#include "lookup/role.h"
#include "tests/lookup/fake_table.h"
#include "tests/lookup/no_cache.h"

namespace lmtpd::lookup {

class RoleSite {
 protected:
  RoleSite(const Key& key, std::vector<std::string> mechanisms, PasswordThreads::Check check,
           std::size_t auth_window = kAuthWindow, Role::Listeners listeners = {})
      : key_(key),
        authenticator_(base_.get(), {{&passwords_}, std::move(mechanisms), key, auth_window},
                       *PasswordThreads::open(std::move(check))) {
    resolver_.virtual_alias_maps = {&alias_};
    resolver_.virtual_mailbox_maps = {&mailbox_};
    resolver_.virtual_uid_maps = {&uid_};
    resolver_.virtual_gid_maps = {&gid_};
    settings_.virtual_mailbox_base = "/home";
    auto pair = make_channel_pair();
    master_ = std::make_unique<Channel>(std::move(pair->first));
    role_ =
        std::make_unique<Role>(base_.get(), Channel(std::move(pair->second)), settings_, key_,
                               resolver_, cache_, counters_, authenticator_, std::move(listeners));
  }
  ~RoleSite() = default;

 public:
  // That frontend's end of a channel.
  Channel introduce(std::uint32_t instance) {
    auto pair = make_channel_pair();
    std::vector<UniqueFd> end;
    end.push_back(std::move(pair->second));
    master_->send(
        Introduce{.kind = static_cast<std::uint8_t>(PeerKind::frontend), .instance = instance},
        std::move(end));
    if (master_->flush() != Channel::Status::ok) std::abort();
    turn();
    return Channel(std::move(pair->first));
  }
  void turn() {
    for (int i = 0; i < 4; ++i) event_base_loop(base_.get(), EVLOOP_NONBLOCK);
  }
  // What master was asked for since the last time; a role that serves asks for nothing else.
  std::vector<StartWorker> workers_wanted() {
    std::vector<StartWorker> wanted;
    Packet packet;
    while (master_->receive(packet) == Channel::Status::ok) {
      for (const Frame& frame : packet.frames()) {
        const auto message = decode<StartWorker>(frame.payload);
        if (static_cast<MessageType>(frame.type) != MessageType::start_worker || !message) {
          std::abort();
        }
        wanted.push_back(*message);
      }
    }
    return wanted;
  }

 protected:
  const Key key_;
  Settings settings_;
  NoCache cache_;
  const CounterReader counters_ = *CounterReader::map(*make_shared_memory<CounterNumbers>());
  ResolverSettings resolver_;
  FakeTable alias_{"fake:alias"}, mailbox_{"fake:mailbox"}, uid_{"fake:uid"}, gid_{"fake:gid"};
  FakeTable passwords_{"fake:password"};
  EventBasePtr base_{event_base_new()};
  Authenticator authenticator_;
  std::unique_ptr<Channel> master_;
  std::unique_ptr<Role> role_;
};

}  // namespace lmtpd::lookup
