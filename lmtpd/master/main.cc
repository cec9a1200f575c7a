// lmtpd/master/main.cc -- lmtpd: the root process that executes the roles and keeps them alive.
//
// DIAGNOSTICS: exit status 0 after an orderly end; 64 for a wrong command line; 77 not started as
// root; 78 for a configuration that cannot be right, with "file:line: parameter: what" in the log;
// 1 for all else (an address in use, no memory).
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/log.h"
#include "lmtpd/master/check.h"
#include "lmtpd/master/command_line.h"
#include "lmtpd/master/configuration.h"
#include "lmtpd/master/descriptors.h"
#include "lmtpd/master/service_notifier.h"
#include "lmtpd/master/socket_activation.h"
#include "lmtpd/master/supervisor.h"

namespace lmtpd::master {
namespace {

int fail_with(const StartFailure& failure) {
  log_failure(failure);
  return failure.exit_status;
}

// A socket that landed on 2 would get the log.
bool fill_standard_descriptors() {
  int fd = 0;
  do {
    fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd < 0) return false;
  ::close(fd);
  return true;
}

// The roles inherit it; each holds a descriptor a client, a channel or a mailbox.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_max = std::max(limit.rlim_max, rlim_t{kDescriptorLimit});
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
  // Without CAP_SYS_RESOURCE: all that is allowed.
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int print_changed(const std::string& file) {
  const Result<Parameters> parameters = Parameters::load(file);
  if (!parameters) return fail_with({EX_CONFIG, parameters.error().text});
  const std::string text = parameters->changed();
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0
             ? EXIT_SUCCESS
             : EX_IOERR;
}

int run_check(const std::string& file) {
  StartResult<Configuration> configuration = Configuration::load(file);
  if (!configuration) return fail_with(configuration.error());
  const StartResult<Generation::Shared> shared = Generation::Shared::make();
  if (!shared) return fail_with(shared.error());
  if (StartResult<void> checked = check(std::move(*configuration), *shared); !checked) {
    return fail_with(checked.error());
  }
  log_info("{}: in order", file);
  return EXIT_SUCCESS;
}

int run_daemon(const std::string& file) {
  Result<std::vector<ActivatedSocket>> activated = take_activated_sockets();
  if (!activated) return fail_with({EXIT_FAILURE, activated.error().text});
  const ServiceNotifier notifier = ServiceNotifier::from_environment();
  StartResult<Configuration> configuration = Configuration::load(file);
  if (!configuration) return fail_with(configuration.error());
  open_log("master", configuration->settings.log);
  for (const std::string& warning : configuration->warnings) log_warning("{}", warning);
  StartResult<Generation::Shared> shared = Generation::Shared::make();
  if (!shared) return fail_with(shared.error());
  raise_descriptor_limit();
  if (::chdir("/") != 0) return EXIT_FAILURE;
  Supervisor supervisor(file, std::move(*shared), Listeners(std::move(*activated)), notifier);
  return supervisor.run(std::move(*configuration));
}

int run(std::span<const char* const> arguments) {
  if (!fill_standard_descriptors()) return EX_OSERR;
  ::umask(077);
  open_log("master", LogTarget::standard_error);
  const Result<CommandLine> line = parse_command_line(arguments);
  if (!line) {
    fmt::print(stderr, "lmtpd: {}\n{}", line.error().text, kUsage);
    return EX_USAGE;
  }
  switch (line->mode) {
    case CommandLine::Mode::help:
      fmt::print("{}", kUsage);
      return EXIT_SUCCESS;
    case CommandLine::Mode::version:
      fmt::print("lmtpd {}\n", LMTPD_VERSION);
      return EXIT_SUCCESS;
    case CommandLine::Mode::changed:
      return print_changed(line->file);
    case CommandLine::Mode::check:
    case CommandLine::Mode::run:
      break;
  }
  if (::geteuid() != 0 || ::getuid() != 0) {
    log_error("not root: lmtpd starts its roles as root, and each gives that up");
    return EX_NOPERM;
  }
  return line->mode == CommandLine::Mode::check ? run_check(line->file) : run_daemon(line->file);
}

}  // namespace
}  // namespace lmtpd::master

int main(int argc, char** argv) {
  const std::vector<const char*> arguments(argv + std::min(argc, 1), argv + argc);
  return lmtpd::master::run(arguments);
}
