#include "lmtpd/base/log.h"

#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <system_error>

namespace lmtpd {
namespace {

LogTarget g_target = LogTarget::standard_error;
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

// Length of the UTF-8 sequence at the start of `text`, or 0 where it is malformed (RFC 3629).
std::size_t utf8_sequence(std::string_view text) {
  const auto octet = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = octet(0);
  std::size_t length = 0;
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xBF;
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  if (text.size() < length || octet(1) < low || octet(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (octet(i) < 0x80 || octet(i) > 0xBF) return 0;
  }
  return length;
}

}  // namespace

void open_log(const char* role, LogTarget target) {
  g_target = target;
  g_ident = std::string("lmtpd/") + role;
  if (target == LogTarget::syslog) openlog(g_ident.c_str(), LOG_PID | LOG_NDELAY, LOG_MAIL);
}

void log_line(Severity severity, std::string_view text) {
  if (g_target == LogTarget::syslog) {
    syslog(syslog_priority(severity), "%.*s%.*s", static_cast<int>(prefix(severity).size()),
           prefix(severity).data(), static_cast<int>(text.size()), text.data());
    return;
  }
  // One write(2) a line, so that lines of several roles do not mix.
  const std::string line =
      fmt::format("{}[{}]: {}{}\n", g_ident, getpid(), prefix(severity), text);
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
