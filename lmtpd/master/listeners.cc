#include "lmtpd/master/listeners.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "lmtpd/base/log.h"

namespace lmtpd::master {
namespace {

std::string address_of(int fd) {
  InetAddress address;
  address.length = sizeof address.storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0) {
    return errno_text("getsockname", errno);
  }
  if (address.storage.ss_family != AF_UNIX) return address.text();
  sockaddr_un name{};
  std::memcpy(&name, &address.storage, std::min<std::size_t>(address.length, sizeof name));
  const std::size_t length = address.length - offsetof(sockaddr_un, sun_path);
  // An abstract name starts with NUL: no entry of `listen` fits it.
  if (length == 0 || name.sun_path[0] == '\0') {
    return "unix:@" + std::string(name.sun_path + 1, length > 1 ? length - 1 : 0);
  }
  return "unix:" + std::string(name.sun_path, ::strnlen(name.sun_path, length));
}

// Two ways to one socket, through a symlink for example.
bool same_file(const std::string& one, const std::string& other) {
  struct stat first{};
  struct stat second{};
  return ::stat(one.c_str(), &first) == 0 && ::stat(other.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

}  // namespace

int Listeners::Plan::Socket::fd() const {
  if (const auto* named = std::get_if<UnixListener>(&socket)) return named->fd();
  return std::get<UniqueFd>(socket).get();
}

bool Listeners::Plan::Socket::in_place() const {
  const auto* named = std::get_if<UnixListener>(&socket);
  return named == nullptr || named->in_place();
}

StartResult<std::vector<Listeners::Share>> Listeners::Plan::share() const {
  std::vector<Share> shares;
  for (const Use& used : uses_) {
    shares.push_back({used.index, UniqueFd(::fcntl(used.fd, F_DUPFD_CLOEXEC, 0))});
    if (!shares.back().fd) return system_failure(errno_text("a listening socket's dup", errno));
  }
  return shares;
}

Listeners::Listeners(std::vector<ActivatedSocket> activated) {
  for (ActivatedSocket& socket : activated) {
    activated_.push_back(
        {address_of(socket.fd.get()), std::move(socket.name), std::move(socket.fd)});
  }
}

const Listeners::Activated* Listeners::activated_for(const std::string& path) const {
  for (const Activated& socket : activated_) {
    if (!socket.address.starts_with("unix:/")) continue;
    const std::string bound = socket.address.substr(5);
    if (bound == path || same_file(bound, path)) return &socket;
  }
  return nullptr;
}

const Listeners::Plan::Socket* Listeners::find_open(const Plan& plan,
                                                    const std::string& identity) const {
  for (const auto* sockets : {&open_, &plan.fresh_}) {
    const auto found = std::ranges::find(*sockets, identity, &Plan::Socket::identity);
    if (found != sockets->end() && found->in_place()) return &*found;
  }
  return nullptr;
}

// A name's addresses may repeat.
void Listeners::use(Plan& plan, Plan::Use used) {
  if (std::ranges::find(plan.uses_, used) == plan.uses_.end()) {
    plan.uses_.push_back(std::move(used));
  }
}

StartResult<void> Listeners::keep_one_use_each(Plan& plan, SocketUses& uses) {
  std::vector<Plan::Use> kept;
  for (Plan::Use& used : plan.uses_) {
    const StartResult<bool> is_first = uses.add(used.index, used.place);
    if (!is_first) return tl::unexpected(is_first.error());
    if (*is_first) kept.push_back(std::move(used));
  }
  plan.uses_ = std::move(kept);
  return {};
}

StartResult<void> Listeners::prepare_unix(Plan& plan, std::uint32_t index, const std::string& path,
                                          const SocketAccess& access) const {
  if (const Activated* socket = activated_for(path)) {
    use(plan, {index, socket->address, socket->address, socket->fd.get()});
    return {};
  }
  const std::string place = "unix:" + real_place(path);
  const std::string identity = fmt::format("{} {}:{} {:o}", place, access.owner.uid.value(),
                                           access.owner.gid.value(), access.mode);
  const Plan::Socket* open = find_open(plan, identity);
  if (open == nullptr) {
    StartResult<UnixListener> made = UnixListener::prepare(path, access);
    if (!made) return tl::unexpected(std::move(made.error()));
    open = &plan.fresh_.emplace_back(Plan::Socket{identity, std::move(*made)});
  }
  // Looked for once: its name may go at any time.
  use(plan, {index, identity, place, open->fd()});
  return {};
}

StartResult<void> Listeners::prepare_inet(Plan& plan, std::uint32_t index,
                                          const ListenSpec& spec) const {
  const StartResult<std::vector<InetAddress>> addresses = addresses_of(spec);
  if (!addresses) return tl::unexpected(addresses.error());
  bool activated = false;
  for (const InetAddress& address : *addresses) {
    const auto found = std::ranges::find(activated_, address.text(), &Activated::address);
    if (found == activated_.end()) continue;
    use(plan, {index, found->address, found->address, found->fd.get()});
    activated = true;
  }
  // One activated socket of several addresses is what the administrator chose.
  if (activated) return {};
  for (const InetAddress& address : *addresses) {
    const std::string identity = address.text();
    if (find_open(plan, identity) == nullptr) {
      StartResult<UniqueFd> made = listen_inet(address);
      if (!made) return tl::unexpected(std::move(made.error()));
      plan.fresh_.push_back({identity, std::move(*made)});
    }
    use(plan, {index, identity, identity, find_open(plan, identity)->fd()});
  }
  return {};
}

StartResult<Listeners::Plan> Listeners::prepare(const Settings& settings,
                                                const SocketAccess& access) const {
  Plan plan;
  SocketUses uses(settings);
  for (std::uint32_t index = 0; index < uses.entries().size(); ++index) {
    const ListenSpec& spec = uses.entries()[index];
    StartResult<void> prepared = spec.kind == ListenSpec::Kind::unix_socket
                                     ? prepare_unix(plan, index, spec.path, access)
                                     : prepare_inet(plan, index, spec);
    if (!prepared) return tl::unexpected(std::move(prepared.error()));
  }
  for (const Activated& socket : activated_) {
    if (std::ranges::find(plan.uses_, socket.address, &Plan::Use::identity) == plan.uses_.end()) {
      return configuration_failure(
          fmt::format("socket activation: no entry of `listen` is {} (FileDescriptorName {})",
                      escaped(socket.address), escaped(socket.name)));
    }
  }
  if (StartResult<void> distinct = keep_one_use_each(plan, uses); !distinct) {
    return tl::unexpected(std::move(distinct.error()));
  }
  return plan;
}

StartResult<void> Listeners::Plan::check_free() const {
  for (const Socket& fresh : fresh_) {
    const auto* named = std::get_if<UnixListener>(&fresh.socket);
    if (named == nullptr) continue;
    if (StartResult<void> free = named->check_free(); !free) return free;
  }
  return {};
}

StartResult<void> Listeners::adopt(Plan plan) {
  for (Plan::Socket& fresh : plan.fresh_) {
    auto* named = std::get_if<UnixListener>(&fresh.socket);
    if (named == nullptr) continue;
    if (StartResult<void> published = named->publish(); !published) return published;
  }
  // UnixListener is not assignable, so what stays moves to a new list.
  std::vector<Plan::Socket> kept;
  for (auto* sockets : {&open_, &plan.fresh_}) {
    for (Plan::Socket& socket : *sockets) {
      const bool used =
          std::ranges::find(plan.uses_, socket.identity, &Plan::Use::identity) != plan.uses_.end();
      if (used && socket.in_place())
        kept.push_back({std::move(socket.identity), std::move(socket.socket)});
    }
  }
  open_ = std::move(kept);
  return {};
}

void Listeners::close() {
  open_.clear();
  activated_.clear();
}

}  // namespace lmtpd::master
