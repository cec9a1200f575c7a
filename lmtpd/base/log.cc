#include "lmtpd/base/log.h"

#include <limits.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "lmtpd/base/utf8.h"

namespace lmtpd {
namespace {

LogTarget g_target = LogTarget::standard_error;
Severity g_least = Severity::info;
std::string g_ident = "lmtpd";
std::string g_gathered;
bool g_stderr_is_journal = false;

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

bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status{};
  // The variable is inherited by who has been given another stderr, too.
  return stream != nullptr && ::fstat(STDERR_FILENO, &status) == 0 &&
         stream == fmt::format("{}:{}", status.st_dev, status.st_ino);
}

// An info has what the unit says of lines without one (SyslogLevel=).
std::string journal_severity(Severity severity) {
  if (!g_stderr_is_journal || severity == Severity::info) return "";
  return fmt::format("<{}>", syslog_priority(severity));
}

// One write(2), so that lines of several roles do not mix.
void write_to_stderr(std::string_view lines) {
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, lines.data(), lines.size());
}

std::string stderr_line(Severity severity, std::string_view text) {
  return fmt::format("{}{}[{}]: {}{}\n", journal_severity(severity), g_ident, getpid(),
                     prefix(severity), text);
}

// Of well-formed UTF-8. A terminal obeys U+0080 to U+009F as it does ESC sequences, U+2028 and
// U+2029 end a line in some viewers, and U+202A to U+202E and U+2066 to U+2069 have what stands
// behind them shown in another order.
bool is_printable(std::string_view character) {
  switch (character.size()) {
    case 1:
      return character >= " " && character != "\x7F";
    case 2:
      return character >= "\xC2\xA0";
    default:
      return (character < "\xE2\x80\xA8" || character > "\xE2\x80\xAE") &&
             (character < "\xE2\x81\xA6" || character > "\xE2\x81\xA9");
  }
}

}  // namespace

void open_log(const char* role, LogTarget target, Severity least) {
  g_target = target;
  g_least = least;
  g_ident = std::string("lmtpd/") + role;
  g_stderr_is_journal = stderr_is_journal();
  if (target == LogTarget::syslog) openlog(g_ident.c_str(), LOG_PID | LOG_NDELAY, LOG_MAIL);
}

void log_line(Severity severity, std::string_view text) {
  if (severity < g_least) return;
  if (g_target == LogTarget::syslog) {
    syslog(syslog_priority(severity), "%.*s%.*s", static_cast<int>(prefix(severity).size()),
           prefix(severity).data(), static_cast<int>(text.size()), text.data());
    return;
  }
  write_gathered_log();
  write_to_stderr(stderr_line(severity, text));
}

bool gather_log_info(std::string_view text) {
  if (g_target == LogTarget::syslog || Severity::info < g_least) {
    log_line(Severity::info, text);
    return false;
  }
  const std::string line = stderr_line(Severity::info, text);
  // What is longer may be cut in two in a pipe, with another role's lines between.
  if (g_gathered.size() + line.size() > PIPE_BUF) write_gathered_log();
  g_gathered += line;
  return true;
}

void write_gathered_log() {
  if (g_gathered.empty()) return;
  write_to_stderr(g_gathered);
  g_gathered.clear();
}

std::string escaped(std::string_view text, std::size_t longest) {
  const auto plain = [](char c) { return c >= 0x20 && c < 0x7F; };
  if (text.size() <= longest && std::ranges::all_of(text, plain)) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_sequence(text);
    if (out.size() + (length == 0 ? 1 : length) > longest) {
      out += "...";
      break;
    }
    const std::string_view character = text.substr(0, length);
    if (length == 0 || !is_printable(character)) {
      out += '?';
    } else {
      out += character;
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

std::string errno_text(std::string_view what, int error) {
  return fmt::format("{}: {}", what, std::generic_category().message(error));
}

}  // namespace lmtpd
