// lmtpd/base/log.h -- the log of every role: one line an event, to stderr or syslog(3).
//
// Where stderr is systemd's journal, which master's roles inherit with its variable JOURNAL_STREAM
// (systemd.exec(5)), a warning and an error begin with <4> and <3>, as sd-daemon(3) has it: the
// journal takes that off and keeps it as the line's severity.
//
// Facility mail, ident `lmtpd`, the role's name behind it (`lmtpd/worker`), as Postfix names its
// programs. Text that came from outside goes through escaped() first.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace lmtpd {

enum class Severity { info, warning, error };

enum class LogTarget { standard_error, syslog };

// Called once, before a role confines itself (syslog's socket is opened here). Lines of less than
// `least` are left out.
void open_log(const char* role, LogTarget target, Severity least = Severity::info);

void log_line(Severity severity, std::string_view text);

// Keeps a line of severity info, to be written with others of the same turn of a loop: at
// write_gathered_log(), before any other line, or as soon as they are as many as a pipe takes
// whole. True: write_gathered_log() is to be called. Syslog has it at once.
[[nodiscard]] bool gather_log_info(std::string_view text);
void write_gathered_log();

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(Severity::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(Severity::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_line(Severity::error, fmt::format(format, std::forward<Args>(args)...));
}

// `text` with `?` for controls (C0, DEL, C1), U+2028 and U+2029, which end lines, what turns the
// direction of the text (U+202A to U+202E, U+2066 to U+2069), and octets that are no valid UTF-8;
// and cut to `longest` octets with `...` behind.
[[nodiscard]] std::string escaped(std::string_view text, std::size_t longest = 255);

// "what: strerror(error)".
[[nodiscard]] std::string errno_text(std::string_view what, int error);

}  // namespace lmtpd
