#include "lmtpd/frontend/session_settings.h"

namespace lmtpd::frontend {
namespace {

// A unix socket's mode says who may come.
session::AuthUse auth_use(const ListenSpec& listener) {
  if (listener.kind == ListenSpec::Kind::unix_socket) return session::AuthUse::none;
  if (!listener.options.auth) return session::AuthUse::required_of_strangers;
  return *listener.options.auth ? session::AuthUse::required : session::AuthUse::offered;
}

}  // namespace

session::Settings session_settings(const Settings& settings, const ListenSpec& listener) {
  session::Settings out;
  out.hostname = settings.myhostname;
  out.size_announced = settings.size_announced();
  out.recipient_limit = settings.recipient_limit;
  out.error_limit = settings.error_limit;
  out.junk_command_limit = settings.junk_command_limit;
  out.hopcount_limit = settings.hopcount_limit;
  out.session_timeout = settings.session_timeout;
  out.transaction_time_limit = settings.transaction_time_limit;
  out.strict_rfc821_envelopes = settings.strict_rfc821_envelopes;
  out.disable_vrfy_command = settings.disable_vrfy_command;
  out.reject_bare_newline = settings.forbid_bare_newline == ForbidBareNewline::reject;
  out.defer_over_quota = settings.over_quota == OverQuota::defer;
  out.tls = settings.starttls_at(listener);
  out.tls_first = listener.kind == ListenSpec::Kind::inets;
  out.starttls_timeout = settings.starttls_timeout;
  out.auth_mechanisms = settings.mechanisms_at(listener);
  out.auth = auth_use(listener);
  return out;
}

}  // namespace lmtpd::frontend
