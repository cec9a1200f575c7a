#include "lmtpd/master/check.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "lmtpd/base/accounts.h"
#include "lmtpd/base/log.h"
#include "lmtpd/master/descriptors.h"
#include "lmtpd/master/socket_uses.h"

namespace lmtpd::master {
namespace {

// A directory for the control socket of a lookup that nobody speaks to.
class ScratchDirectory {
 public:
  ScratchDirectory() : made_(::mkdtemp(path_.data()) != nullptr) {}
  ~ScratchDirectory() {
    if (made_) ::rmdir(path_.data());
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  [[nodiscard]] bool made() const { return made_; }
  [[nodiscard]] std::string path() const { return path_.data(); }

 private:
  std::array<char, 24> path_{"/tmp/lmtpd-check.XXXXXX"};
  bool made_;
};

// Where an entry of `listen` leads as long as the service manager opens nothing; one address of a
// name that it opened would stand for all of them.
StartResult<std::vector<std::string>> places_of(const ListenSpec& spec) {
  if (spec.kind == ListenSpec::Kind::unix_socket) {
    if (StartResult<void> checked = check_unix_place(spec.path); !checked) {
      return tl::unexpected(std::move(checked.error()));
    }
    return std::vector{"unix:" + real_place(spec.path)};
  }
  const StartResult<std::vector<InetAddress>> addresses = addresses_of(spec);
  if (!addresses) return tl::unexpected(addresses.error());
  std::vector<std::string> places;
  for (const InetAddress& address : *addresses) places.push_back(address.text());
  return places;
}

// "0.0.0.0:24" and "[::]:24" leave none of their family's addresses with that port to bind(2) for
// another socket.
bool has_all_of(const std::string& place, const std::string& other) {
  const auto port = [](const std::string& address) { return address.substr(address.rfind(':')); };
  const auto is_ipv6 = [](const std::string& address) { return address.starts_with('['); };
  return (place.starts_with("0.0.0.0:") || place.starts_with("[::]:")) && place != other &&
         !other.starts_with("unix:") && is_ipv6(place) == is_ipv6(other) &&
         port(place) == port(other);
}

struct Placed {
  std::string place;
  std::string entry;  // ListenSpec::text
};

StartResult<void> check_addresses(const std::vector<Placed>& sockets) {
  for (const Placed& all : sockets) {
    for (const Placed& one : sockets) {
      if (!has_all_of(all.place, one.place)) continue;
      // As a start says it that finds an address in use.
      return system_failure(
          fmt::format("{} has every address of its port, {} of {}, too: name them", all.entry,
                      one.place, one.entry));
    }
  }
  return {};
}

StartResult<void> check_sockets(const Settings& settings) {
  SocketUses uses(settings);
  std::vector<Placed> sockets;
  for (std::uint32_t index = 0; index < uses.entries().size(); ++index) {
    const StartResult<std::vector<std::string>> places = places_of(uses.entries()[index]);
    if (!places) return tl::unexpected(places.error());
    for (const std::string& place : *places) {
      if (const StartResult<bool> added = uses.add(index, place); !added) {
        return tl::unexpected(added.error());
      }
      sockets.push_back({place, uses.entries()[index].text});
    }
  }
  if (StartResult<void> free = check_addresses(sockets); !free) return free;
  const std::string& control = settings.control_socket;
  // Made at the start if it is missing.
  const bool makes_directory = control.starts_with("/run/") &&
                               ::access(control.substr(0, control.rfind('/')).c_str(), F_OK) != 0;
  if (makes_directory) return {};
  return check_unix_place(control);
}

void turn(Generation& generation) {
  PollSet set;
  generation.wait_in(set, Clock::now());
  // Without a signalfd a child's end wakes nobody, but the end of its channel does, a moment
  // before.
  set.add_deadline(Clock::now() + std::chrono::milliseconds(20));
  set.wait();
  generation.turn(Clock::now());
}

// What can be served and is seldom meant.
void warn_of_doubts(const Settings& settings) {
  const std::uint32_t floor = settings.virtual_minimum_uid;
  if (floor < first_human_uid()) {
    log_warning(
        "virtual_minimum_uid = {} is below UID_MIN = {} (/etc/login.defs): a table could "
        "have mail delivered as a system user",
        floor, first_human_uid());
  }
  if (settings.client_connection_limit >= settings.connection_limit) {
    log_warning(
        "client_connection_limit = {} is not below connection_limit = {}: one client can take all "
        "places",
        settings.client_connection_limit, settings.connection_limit);
  }
  // Each frontend has its part of the limit, and a descriptor for each connection.
  const std::uint64_t share = settings.share_of(settings.connection_limit);
  if (share >= kDescriptorLimit) {
    log_warning(
        "connection_limit = {} is {} for each of frontend_processes = {}, which has {} "
        "descriptors, "
        "unless its unit has more (LimitNOFILE)",
        settings.connection_limit, share, settings.frontend_processes, kDescriptorLimit);
  }
  const std::uint64_t largest = settings.size_announced();
  if (settings.message_size_limit > largest) {
    log_warning(
        "message_size_limit = {} is more than {}, what each of frontend_processes = {} has of "
        "spool_limit = {}, and announces: Postfix bounces what is larger; raise spool_limit, or "
        "have fewer processes",
        settings.message_size_limit, largest, settings.frontend_processes, settings.spool_limit);
  }
  const bool has_files = !settings.tls_cert_file.empty() || !settings.tls_chain_files.empty();
  if (has_files && !settings.uses_tls()) {
    log_warning(
        "a certificate is named, and no listener has TLS: set tls_security_level, or a listener's "
        "tls=");
  }
}

StartResult<void> check_tables(Configuration configuration, const Generation::Shared& shared) {
  const ScratchDirectory scratch;
  if (!scratch.made()) return system_failure(errno_text(scratch.path(), errno));
  StartResult<UnixListener> control =
      UnixListener::prepare(scratch.path() + "/control", {{Uid(0), Gid(0)}, 0600});
  if (!control) return tl::unexpected(std::move(control.error()));
  // Without TLS there is nothing that only a frontend could find wrong.
  configuration.settings.frontend_processes = configuration.settings.uses_tls() ? 1 : 0;
  configuration.check_only = true;
  Generation generation(std::move(configuration), {{}, std::move(*control)}, shared);
  generation.start(Clock::now());
  while (!generation.ready() && !generation.failure()) turn(generation);
  const std::optional<StartFailure> failure = generation.failure();
  generation.hurry(Clock::now());
  while (!generation.ended()) turn(generation);
  if (failure) return tl::unexpected(*failure);
  return {};
}

}  // namespace

StartResult<void> check(Configuration configuration, const Generation::Shared& shared) {
  for (const std::string& warning : configuration.warnings) log_warning("{}", warning);
  warn_of_doubts(configuration.settings);
  if (StartResult<void> checked = check_sockets(configuration.settings); !checked) return checked;
  return check_tables(std::move(configuration), shared);
}

}  // namespace lmtpd::master
