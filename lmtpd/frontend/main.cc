// lmtpd/frontend/main.cc -- lmtpd-frontend: executed by master as root, serves clients as
// frontend_user.

#include <cstdlib>
#include <ctime>
#include <utility>

#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/privileges.h"
#include "lmtpd/base/role_start.h"
#include "lmtpd/frontend/frontend.h"

int main() {
  using namespace lmtpd;
  open_log("frontend", LogTarget::standard_error);
  Channel control{UniqueFd(kControlFd)};
  RoleStart start = must(receive_role_start(control));
  const Settings settings = must(Settings::parse(must(Parameters::deserialise(start.parameters))));
  open_log("frontend", settings.log);

  ::tzset();  // Received has local time; the zone's file is out of reach later
  must(become(start.owner));
  must(forbid_new_privileges());
  if (must(confine_to_no_files()) == Confinement::not_available) {
    log_warning("this kernel has no Landlock: the frontend is not kept from the file system");
  }

  frontend::Frontend frontend(settings, start.instance, std::move(control),
                              std::move(start.listeners));
  frontend.run();
  return EXIT_SUCCESS;
}
