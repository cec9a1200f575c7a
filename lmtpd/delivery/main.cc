// lmtpd-worker -- delivers as one (uid, gid). Started by lmtpd, as root, which it stops to be here.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <utility>

#include "lmtpd/base/channel.h"
#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/privileges.h"
#include "lmtpd/base/role_start.h"
#include "lmtpd/base/shared_sync.h"
#include "lmtpd/delivery/worker.h"
#include "maildir/delivery.h"

namespace lmtpd::delivery {
namespace {

Settings settings_of(const RoleStart& start) {
  return must(Settings::parse(must(Parameters::deserialise(start.parameters))));
}

Result<UniqueFd> open_mail_base(const std::string& path) {
  UniqueFd base(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!base) {
    return fail(Reason::io, errno_text(fmt::format("virtual_mailbox_base {}", path), errno));
  }
  return base;
}

// Of the worker: more share more commits, and cost memory and switches.
constexpr std::size_t kThreads = 32;

// Of a message that is being delivered: tmp/, new/, and its file.
constexpr std::size_t kDescriptorsEach = 3;

// All that the hard limit allows, of which channels, memfds and the like get the rest. Returns
// those that deliveries may take.
std::size_t take_all_descriptors() {
  constexpr rlim_t kRest = 512;
  constexpr rlim_t kMost = 12'288;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  return limit.rlim_cur <= kRest ? 0 : std::min(limit.rlim_cur - kRest, kMost);
}

std::map<dev_t, SharedSync> open_shared_syncs(RoleStart& start, Clock::duration patience) {
  std::map<dev_t, SharedSync> opened;
  for (const RoleStart::SharedSync& each : std::exchange(start.shared_syncs, {})) {
    opened.emplace(each.device, must(SharedSync::open(each.page, each.bell, patience)));
  }
  return opened;
}

[[noreturn]] void run_worker() {
  Channel control = begin_role("worker");
  RoleStart start = must(receive_role_start(control));
  const Settings settings = settings_of(start);
  open_log("worker", settings.log);
  UniqueFd mail_base = must(open_mail_base(settings.virtual_mailbox_base));
  UniqueFd sweep_base = must(open_mail_base(settings.virtual_mailbox_base));
  const std::size_t descriptors = take_all_descriptors();

  must(become(start.owner));
  must(forbid_new_privileges());
  if (must(confine_to(mail_base.get())) == Confinement::not_available) {
    log_warning(
        "this kernel has no Landlock of ABI 2 or more: the worker of uid {} goes on without",
        start.owner.uid.value());
  }

  const std::size_t threads = settings.fsync ? kThreads : 0;  // without syncs there is no waiting
  const maildir::Deliverer deliverer = must(maildir::Deliverer::open(
      std::move(mail_base),
      {.host = settings.myhostname,
       .fsync = settings.fsync,
       .largest_group = std::max<std::size_t>(
           descriptors / (kDescriptorsEach * std::max<std::size_t>(threads, 1)), 1),
       .shared_syncs = open_shared_syncs(start, settings.commit_timeout)}));
  Worker worker(std::move(control), {start.owner, start.key},
                must(DeliveryThreads::open(deliverer, threads)),
                maildir::TmpSweep(std::move(sweep_base)));
  worker.run();
  // No destructor beside threads that a disk holds up.
  worker.delivers() ? std::_Exit(EXIT_SUCCESS) : std::exit(EXIT_SUCCESS);
}

}  // namespace
}  // namespace lmtpd::delivery

int main() { lmtpd::delivery::run_worker(); }
