#include "lmtpd/base/log.h"

#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <system_error>

#include "lmtpd/base/utf8.h"

namespace lmtpd {
namespace {

LogTarget g_target = LogTarget::standard_error;
Severity g_least = Severity::info;
std::string g_ident = "lmtpd";

int syslog_priority(Severity severity) {
  switch (severity) {
    case Severity::info:
      return LOG_INFO;
    case Severity::warning:
      return LOG_WARNING;
    case Severity::error:
      return LOG_ERR;
  }
  return LOG_ERR;
}

std::string_view prefix(Severity severity) {
  switch (severity) {
    case Severity::info:
      return "";
    case Severity::warning:
      return "warning: ";
    case Severity::error:
      return "error: ";
  }
  return "";
}

}  // namespace

void open_log(const char* role, LogTarget target, Severity least) {
  g_target = target;
  g_least = least;
  g_ident = std::string("lmtpd/") + role;
  if (target == LogTarget::syslog) openlog(g_ident.c_str(), LOG_PID | LOG_NDELAY, LOG_MAIL);
}

void log_line(Severity severity, std::string_view text) {
  if (severity < g_least) return;
  if (g_target == LogTarget::syslog) {
    syslog(syslog_priority(severity), "%.*s%.*s", static_cast<int>(prefix(severity).size()),
           prefix(severity).data(), static_cast<int>(text.size()), text.data());
    return;
  }
  // One write(2) a line, so that lines of several roles do not mix.
  const std::string line = fmt::format("{}[{}]: {}{}\n", g_ident, getpid(), prefix(severity), text);
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

std::string escaped(std::string_view text, std::size_t longest) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_sequence(text);
    if (out.size() + (length == 0 ? 1 : length) > longest) {
      out += "...";
      break;
    }
    const auto first = static_cast<std::uint8_t>(text[0]);
    if (length == 0 || first < 0x20 || first == 0x7F) {
      out += '?';
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

std::string errno_text(std::string_view what, int error) {
  return fmt::format("{}: {}", what, std::generic_category().message(error));
}

}  // namespace lmtpd
