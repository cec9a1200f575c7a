#include "lmtpd/ctl/check_db.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sysexits.h>

#include <cstdio>
#include <cstdlib>

#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/unique_fd.h"
#include "lmtpd/base/whole_file.h"
#include "lookup/check/database_check.h"

namespace lmtpd::ctl {
namespace {

constexpr int kFaults = 1;

int give_up(const Error& error, int status) {
  fmt::print(stderr, "lmtpctl: {}\n", error.text);
  return status;
}

Result<std::string> read_file(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail(Reason::lookup_failed, errno_text(path, errno));
  return read_whole_file(path, file.get());
}

}  // namespace

int check_db(const std::string& file) {
  const auto parameters = Parameters::load(file);
  if (!parameters) return give_up(parameters.error(), EX_CONFIG);
  const auto settings = Settings::parse(*parameters);
  if (!settings) return give_up(settings.error(), EX_CONFIG);
  open_log("lmtpctl", LogTarget::standard_error, Severity::warning);
  const auto summary = lookup::check_databases(
      *settings, read_file, [](const std::string& line) { fmt::print("{}\n", line); });
  if (!summary) return give_up(summary.error(), EX_UNAVAILABLE);
  for (const std::string& table : summary->unlisted) {
    fmt::print(stderr,
               "lmtpctl: {}: its rows cannot be listed: the query is not SELECT ... FROM ... WHERE "
               "COLUMN = '%s' ...\n",
               table);
  }
  fmt::print("{} rows, {} faults, {} notes\n", summary->rows, summary->faults, summary->notes);
  return summary->faults == 0 ? EXIT_SUCCESS : kFaults;
}

}  // namespace lmtpd::ctl
