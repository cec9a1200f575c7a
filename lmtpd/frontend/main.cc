// lmtpd/frontend/main.cc -- lmtpd-frontend: executed by master as root, serves clients as
// frontend_user.

#include <cstdlib>
#include <ctime>
#include <utility>

#include "lmtpd/base/config/network_list.h"
#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/privileges.h"
#include "lmtpd/base/role_start.h"
#include "lmtpd/base/whole_file.h"
#include "lmtpd/frontend/frontend.h"
#include "lookup/files/match_list.h"

namespace {

// Master has read the same files before.
lmtpd::Result<lmtpd::NetworkList> trusted_clients(const lmtpd::Settings& settings,
                                                  const lmtpd::RoleStart& start) {
  const auto read_file = [&](const std::string& path) -> lmtpd::Result<std::string> {
    const auto file = start.files.find(path);
    if (file == start.files.end()) {
      return lmtpd::fail(lmtpd::Reason::io, path + ": master did not hand it over");
    }
    return lmtpd::read_whole_file(path, file->second.get());
  };
  const lmtpd::Result<lmtpd::MatchList> items =
      lmtpd::lookup::with_files_read(settings.trusted_clients, read_file);
  if (!items) return tl::unexpected(items.error());
  return lmtpd::NetworkList::make(*items);
}

}  // namespace

int main() {
  using namespace lmtpd;
  open_log("frontend", LogTarget::standard_error);
  Channel control{UniqueFd(kControlFd)};
  RoleStart start = must(receive_role_start(control));
  const Settings settings = must(Settings::parse(must(Parameters::deserialise(start.parameters))));
  open_log("frontend", settings.log);

  NetworkList trusted = must(trusted_clients(settings, start));

  ::tzset();  // Received has local time; the zone's file is out of reach later
  must(become(start.owner));
  must(forbid_new_privileges());
  if (must(confine_to_no_files()) == Confinement::not_available) {
    log_warning("this kernel has no Landlock: the frontend is not kept from the file system");
  }

  frontend::Frontend frontend(settings, std::move(trusted), start.instance, std::move(control),
                              std::move(start.listeners));
  frontend.run();
  return EXIT_SUCCESS;
}
