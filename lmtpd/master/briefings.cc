#include "lmtpd/master/briefings.h"

#include <cerrno>
#include <utility>
#include <vector>

#include "lmtpd/base/messages.h"
#include "lmtpd/master/descriptors.h"

namespace lmtpd::master {
namespace {

std::vector<UniqueFd> one(UniqueFd fd) {
  std::vector<UniqueFd> list;
  list.push_back(std::move(fd));
  return list;
}

Result<void> hand_files(RoleProcess& role, const std::vector<Configuration::OpenFile>& files) {
  for (const Configuration::OpenFile& file : files) {
    UniqueFd fd = reopen(file.fd.get());
    if (!fd) return fail(Reason::io, errno_text(file.path, errno));
    role.tell(File{file.path}, one(std::move(fd)));
  }
  return {};
}

// Those of `listen` are the frontends', those of socketmap_listen lookup's, numbered from 1.
Result<void> share_listeners(RoleProcess& role, bool is_frontend, const Settings& settings,
                             const std::vector<Listeners::Share>& listeners) {
  const auto first = static_cast<std::uint32_t>(settings.listen.size());
  for (const Listeners::Share& share : listeners) {
    if ((share.index < first) != is_frontend) continue;
    UniqueFd fd = duplicate(share.fd.get());
    if (!fd) return fail(Reason::io, errno_text("a listening socket's dup", errno));
    role.tell(Listener{.index = is_frontend ? share.index : share.index - first + 1},
              one(std::move(fd)));
  }
  return {};
}

// To add to, or to read.
Result<void> hand_counters(RoleProcess& role, int page, bool to_add) {
  UniqueFd fd = to_add ? duplicate(page) : reopen(page);
  if (!fd) return fail(Reason::io, errno_text("the counters' memory", errno));
  role.tell(CounterPage{}, one(std::move(fd)));
  return {};
}

}  // namespace

Result<void> brief_lookup(RoleProcess& lookup, const Configuration& configuration,
                          const Generation::Sockets& sockets, const Generation::Shared& shared) {
  lookup.tell(Configure{.parameters = configuration.parameters,
                        .owner = configuration.lookup_user,
                        .key = shared.ticket_key,
                        .check_only = configuration.check_only});
  if (Result<void> handed = hand_files(lookup, configuration.files); !handed) return handed;
  UniqueFd control = duplicate(sockets.control.fd());
  if (!control) return fail(Reason::io, errno_text("control_socket: dup", errno));
  lookup.tell(Listener{.index = 0}, one(std::move(control)));
  Result<void> handed = share_listeners(lookup, false, configuration.settings, sockets.listeners);
  if (handed) handed = hand_counters(lookup, shared.counter_page.get(), false);
  if (handed) lookup.tell(Start{});
  return handed;
}

Result<void> brief_committer(RoleProcess& committer, const Configuration& configuration,
                             const SharedSyncs& shared_syncs, const Generation::Shared& shared) {
  committer.tell(
      Configure{.parameters = configuration.parameters, .owner = configuration.sync_user});
  Result<void> handed = shared_syncs.brief_committer(committer);
  if (handed) handed = hand_counters(committer, shared.counter_page.get(), true);
  if (handed) committer.tell(Start{});
  return handed;
}

Result<void> brief_frontend(RoleProcess& frontend, std::uint32_t number,
                            const Configuration& configuration, const Generation::Sockets& sockets,
                            const Generation::Shared& shared) {
  frontend.tell(Configure{.parameters = configuration.parameters,
                          .instance = number,
                          .owner = configuration.frontend_user,
                          .check_only = configuration.check_only});
  Result<void> handed = hand_files(frontend, configuration.frontend_files);
  if (handed) {
    handed = share_listeners(frontend, true, configuration.settings, sockets.listeners);
  }
  if (handed) handed = hand_counters(frontend, shared.counter_page.get(), true);
  if (handed) frontend.tell(Start{});
  return handed;
}

}  // namespace lmtpd::master
