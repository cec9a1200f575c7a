// lmtpd-committer -- syncs for all deliveries, as sync_user. Started by lmtpd, as root, which it
// stops to be here.
//
// A thread for each file system. A sync that hangs in the kernel holds up nobody but those who wait
// for it, and they not for long.
#include <poll.h>

#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

#include "lmtpd/base/channel.h"
#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/counters.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/messages.h"
#include "lmtpd/base/privileges.h"
#include "lmtpd/base/role_start.h"
#include "lmtpd/sync/sync_server.h"

namespace lmtpd::sync {
namespace {

// A delivery may have to wait for the end of one sync and for the next: so half of its patience is
// slow.
std::vector<SyncServer> open_servers(RoleStart& start, Counters& counters, Clock::duration slow) {
  std::vector<SyncServer> servers;
  for (RoleStart::FileSystemToSync& each : std::exchange(start.file_systems_to_sync, {})) {
    servers.push_back(must(
        SyncServer::open({each.path, std::move(each.root)}, each.page, each.bell, counters, slow)));
  }
  return servers;
}

// Until master says so, or is gone.
void wait_for_the_end(Channel& control) {
  Packet packet;
  while (control.flush() != Channel::Status::closed) {
    pollfd waited{control.fd(), control.events(), 0};
    ::poll(&waited, 1, control.retry_at() ? static_cast<int>(Channel::kRetryTime.count()) : -1);
    const Channel::Status status = control.receive(packet);
    if (status == Channel::Status::closed) return;
    if (status == Channel::Status::would_block) continue;
    for (const Frame& frame : packet.frames()) {
      if (static_cast<MessageType>(frame.type) == MessageType::stop) return;
    }
  }
}

[[noreturn]] void run_committer() {
  Channel control = begin_role("committer");
  RoleStart start = must(receive_role_start(control));
  const Settings settings = must(Settings::parse(must(Parameters::deserialise(start.parameters))));
  open_log("committer", settings.log);

  Counters counters = must(Counters::map(start.counters));
  start.counters.reset();

  must(become(start.owner));
  must(forbid_new_privileges());
  if (must(confine_to_no_files()) == Confinement::not_available) {
    log_warning("this kernel has no Landlock of ABI 2 or more: the committer goes on without");
  }

  for (SyncServer& server : open_servers(start, counters, settings.commit_timeout / 2)) {
    std::thread([server = std::move(server)]() mutable {
      while (true) server.serve();
    }).detach();
  }
  control.send(Ready{});
  wait_for_the_end(control);
  // No destructor beside threads that a disk holds up.
  std::_Exit(EXIT_SUCCESS);
}

}  // namespace
}  // namespace lmtpd::sync

int main() { lmtpd::sync::run_committer(); }
