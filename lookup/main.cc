// lookup/main.cc -- lmtpd-lookup: executed by master as root, serves as lookup_user.

#include <sysexits.h>

#include <cstdlib>
#include <utility>

#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/counters.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/privileges.h"
#include "lmtpd/base/role_start.h"
#include "lmtpd/base/whole_file.h"
#include "lmtpd/event/event_ptr.h"
#include "lookup/auth/machine_key.h"
#include "lookup/role.h"
#include "lookup/site_tables.h"

namespace lmtpd::lookup {
namespace {

// Files that root can read come as descriptors from master; this user could not open them.
FileReader reader_of(const RoleStart& start) {
  return [&start](const std::string& path) -> Result<std::string> {
    const auto file = start.files.find(path);
    if (file == start.files.end()) {
      return fail(Reason::lookup_failed, path + ": master did not open this file");
    }
    return read_whole_file(path, file->second.get());
  };
}

Role::Listeners listeners_of(RoleStart& start) {
  Role::Listeners listeners;
  for (RoleStart::Listening& listening : start.listeners) {
    if (listening.index == 0) {
      listeners.control = std::move(listening.socket);
    } else {
      listeners.socketmap.push_back(std::move(listening.socket));
    }
  }
  return listeners;
}

int run_lookup() {
  Channel control = begin_role("lookup");
  RoleStart start = must(receive_role_start(control));
  const Settings settings = must(Settings::parse(must(Parameters::deserialise(start.parameters))));
  open_log("lookup", start.log_target(settings.log));

  const CounterReader counters = must(CounterReader::map(start.counters));
  start.counters.reset();

  must(become(start.owner));
  must(forbid_new_privileges());

  const EventBasePtr base(event_base_new());
  const std::unique_ptr<SiteTables> tables =
      must(SiteTables::make(settings, base.get(), reader_of(start)), EX_CONFIG);
  if (start.check_only) {
    const std::vector<Error> errors = tables->check();
    for (const Error& error : errors) log_error("{}", error.text);
    // At once: master kills a role whose channel is closed while it still runs.
    if (!errors.empty()) std::exit(EX_UNAVAILABLE);
  }
  // Without an id of the machine's what users who are not there are told changes with the ticket
  // key, when master starts.
  Authenticator authenticator(
      base.get(),
      {tables->password_tables(), settings.auth_mechanisms, machine_key().value_or(start.key)},
      must(PasswordThreads::open([](const StoredPassword& stored, std::string_view password) {
        return stored.matches(password);
      })));
  Role role(base.get(), std::move(control), settings, start.key, tables->resolver_settings(),
            *tables, counters, authenticator, listeners_of(start));
  return role.run();
}

}  // namespace
}  // namespace lmtpd::lookup

int main() { return lmtpd::lookup::run_lookup(); }
