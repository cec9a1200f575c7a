// lmtpd/frontend/main.cc -- lmtpd-frontend: executed by master as root, serves clients as
// frontend_user.

#include <sysexits.h>

#include <cstdlib>
#include <optional>
#include <utility>

#include "lmtpd/base/config/network_list.h"
#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/counters.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/privileges.h"
#include "lmtpd/base/role_start.h"
#include "lmtpd/base/whole_file.h"
#include "lmtpd/event/event_ptr.h"
#include "lmtpd/frontend/frontend.h"
#include "lookup/files/match_list.h"

namespace {

using namespace lmtpd;  // NOLINT: a program of one file

Result<std::string> handed_over(const RoleStart& start, const std::string& path) {
  const auto file = start.files.find(path);
  if (file == start.files.end()) return fail(Reason::io, path + ": master did not hand it over");
  return read_whole_file(path, file->second.get());
}

// Master has read the same files before.
Result<NetworkList> trusted_clients(const Settings& settings, const RoleStart& start) {
  const Result<MatchList> items = lookup::with_files_read(
      settings.trusted_clients, [&](const std::string& path) { return handed_over(start, path); });
  if (!items) return tl::unexpected(items.error());
  return NetworkList::make(*items);
}

Result<std::optional<frontend::TlsContext>> tls_context(const Settings& settings,
                                                        const RoleStart& start) {
  if (!settings.uses_tls()) return std::nullopt;
  auto made = frontend::TlsContext::make(
      settings, [&](const std::string& path) { return handed_over(start, path); });
  if (!made) return tl::unexpected(std::move(made.error()));
  return std::optional(std::move(*made));
}

}  // namespace

int main() {
  Channel control = begin_role("frontend");
  RoleStart start = must(receive_role_start(control));
  const Settings settings = must(Settings::parse(must(Parameters::deserialise(start.parameters))));
  open_log("frontend", start.log_target(settings.log));

  NetworkList trusted = must(trusted_clients(settings, start));
  Counters counters = must(Counters::map(start.counters));
  start.counters.reset();

  must(become(start.owner));
  must(forbid_new_privileges());
  // Before: OpenSSL reads its configuration, the host's policy for TLS.
  std::optional<frontend::TlsContext> tls = must(tls_context(settings, start), EX_CONFIG);
  start.files.clear();
  // Of several frontends one says it.
  if (tls && start.instance == 0) {
    for (const std::string& warning : tls->warnings()) log_warning("{}", warning);
  }
  if (must(confine_to_no_files()) == Confinement::not_available) {
    log_warning("this kernel has no Landlock: the frontend is not kept from the file system");
  }

  const EventBasePtr base(event_base_new());
  frontend::Frontend frontend(base.get(), settings, std::move(trusted), std::move(tls),
                              start.instance, std::move(counters), std::move(control),
                              std::move(start.listeners));
  frontend.run();
  return EXIT_SUCCESS;
}
