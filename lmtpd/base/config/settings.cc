#include "lmtpd/base/config/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "lmtpd/base/address.h"
#include "lmtpd/base/config/network_list.h"
#include "lmtpd/base/config/parameter_reader.h"
#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/config/values.h"
#include "lmtpd/base/sasl.h"
#include "lmtpd/base/types.h"

namespace lmtpd {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

void read_extensions(ParameterReader& reader, Settings& settings) {
  constexpr auto kKnown = std::to_array<std::string_view>(
      {"canonical", "virtual", "alias", "forward", "include", "generic"});
  reader.words("propagate_unmatched_extensions", settings.propagate_unmatched_extensions, kKnown);
}

void read_delimiter(ParameterReader& reader, Settings& settings) {
  constexpr std::string_view kName = "recipient_delimiter";
  settings.recipient_delimiter = reader.text(kName);
  const bool usable =
      std::all_of(settings.recipient_delimiter.begin(), settings.recipient_delimiter.end(),
                  [](char c) { return c > ' ' && c < 0x7f && c != '@' && c != '"' && c != '\\'; });
  if (!usable) {
    reader.complain(kName, fmt::format("\"{}\" is not a set of characters that may part an address",
                                       settings.recipient_delimiter));
  }
}

void read_postmaster(ParameterReader& reader, Settings& settings) {
  constexpr std::string_view kName = "postmaster_address";
  settings.postmaster_address = reader.text(kName);
  if (settings.postmaster_address.empty()) return;
  const auto address = Address::parse(settings.postmaster_address);
  if (!address || address->domain().empty()) {
    reader.complain(kName, fmt::format("\"{}\" is not an address of the form user@domain",
                                       settings.postmaster_address));
  }
}

void read_path_template(ParameterReader& reader, Settings& settings) {
  constexpr std::string_view kName = "mailbox_path_template";
  const std::string& value = reader.text(kName);
  settings.mailbox_path_template = value;
  if (value.empty()) return;
  std::string sample;
  bool names_user = false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] != '%') {
      sample += value[i];
      continue;
    }
    const char letter = ++i < value.size() ? value[i] : '\0';
    if (letter == 's' || letter == 'u') names_user = true;
    if (letter == '\0' || std::string_view("sud%").find(letter) == std::string_view::npos) {
      return reader.complain(kName, "has a % that is not of %s, %u, %d or %%");
    }
    sample += 'x';
  }
  if (!names_user) return reader.complain(kName, "needs %u or %s, or all mailboxes are one");
  const auto path = MailboxPath::parse(sample);
  if (!path) {
    reader.complain(kName,
                    fmt::format("\"{}\" makes no path of a maildir, which has a slash at its "
                                "end and no \"..\": {}",
                                value, path.error().text));
  }
}

void read_tables(ParameterReader& reader, Settings& settings) {
  reader.directory("virtual_mailbox_base", settings.virtual_mailbox_base);
  reader.required_tables("virtual_mailbox_maps", settings.virtual_mailbox_maps);
  reader.required_tables("virtual_uid_maps", settings.virtual_uid_maps);
  reader.required_tables("virtual_gid_maps", settings.virtual_gid_maps);
  reader.tables("virtual_alias_maps", settings.virtual_alias_maps);
  reader.matches("virtual_mailbox_domains", settings.virtual_mailbox_domains);
  reader.number("virtual_minimum_uid", settings.virtual_minimum_uid);
  read_path_template(reader, settings);
  reader.yes_no("transport_errors", settings.transport_errors);
}

void read_socketmap(ParameterReader& reader, Settings& settings) {
  if (!reader.text("socketmap_listen").empty()) {
    reader.store("socketmap_listen",
                 parse_listen_list(reader.text("socketmap_listen"), settings.queue_directory),
                 settings.socketmap_listen);
  }
  for (const ListenSpec& spec : settings.socketmap_listen) {
    if (spec.kind == ListenSpec::Kind::inets || spec.options != ListenOptions{}) {
      reader.complain(
          "socketmap_listen",
          fmt::format("{}: Postfix asks without TLS, and no option applies", spec.text));
    }
    if (std::ranges::any_of(settings.listen,
                            [&](const auto& other) { return other.same_place(spec); })) {
      reader.complain("socketmap_listen", fmt::format("\"{}\" is one of listen, too", spec.text));
    }
  }
  // main.cf's may be of any type; what is not asked need not be understood.
  if (settings.transport_errors) {
    reader.required_tables("transport_maps", settings.transport_maps);
  } else if (!settings.socketmap_listen.empty()) {
    reader.tables("transport_maps", settings.transport_maps);
  }
}

void read_addresses(ParameterReader& reader, Settings& settings) {
  reader.choice("alias_expansion", settings.alias_expansion,
                std::to_array<std::pair<std::string_view, AliasExpansion>>(
                    {{"auto", AliasExpansion::automatic},
                     {"full", AliasExpansion::full},
                     {"off", AliasExpansion::off}}));
  reader.choice("remote_alias_target", settings.remote_alias_target,
                std::to_array<std::pair<std::string_view, RemoteAliasTarget>>(
                    {{"defer", RemoteAliasTarget::defer}, {"reject", RemoteAliasTarget::reject}}));
  read_postmaster(reader, settings);
  read_delimiter(reader, settings);
  read_extensions(reader, settings);
  reader.yes_no("owner_request_special", settings.owner_request_special);
  reader.number("virtual_alias_recursion_limit", settings.virtual_alias_recursion_limit);
  reader.number("virtual_alias_expansion_limit", settings.virtual_alias_expansion_limit);
  reader.number("virtual_alias_address_length_limit", settings.virtual_alias_address_length_limit);
  reader.host("myhostname", settings.myhostname);
  reader.host("mydomain", settings.mydomain);
  reader.host("myorigin", settings.myorigin);
  reader.matches("mydestination", settings.mydestination);
  reader.yes_no("append_at_myorigin", settings.append_at_myorigin);
  reader.yes_no("append_dot_mydomain", settings.append_dot_mydomain);
  reader.yes_no("allow_percent_hack", settings.allow_percent_hack);
}

void read_tls(ParameterReader& reader, Settings& settings) {
  reader.store("tls_security_level", parse_tls_level(reader.text("tls_security_level")),
               settings.tls_security_level);
  reader.file("tls_cert_file", settings.tls_cert_file);
  reader.file("tls_key_file", settings.tls_key_file);
  reader.files("tls_chain_files", settings.tls_chain_files);
  reader.store("tls_protocols", parse_tls_versions(reader.text("tls_protocols")),
               settings.tls_protocols);
  reader.ciphers("tls_cipherlist", settings.tls_cipherlist);
  reader.file("tls_client_ca", settings.tls_client_ca);
  reader.yes_no("tls_req_ccert", settings.tls_req_ccert);
  reader.time("starttls_timeout", settings.starttls_timeout, 1s);

  const bool has_pair = !settings.tls_cert_file.empty();
  const bool has_chains = !settings.tls_chain_files.empty();
  if (has_pair && has_chains) {
    reader.complain("tls_chain_files", "stands in place of tls_cert_file: set one of them");
  }
  if (!has_pair && !settings.tls_key_file.empty()) {
    reader.complain("tls_key_file", "needs tls_cert_file, the certificate of that key");
  }
  if (settings.tls_req_ccert && settings.tls_client_ca.empty()) {
    reader.complain("tls_req_ccert", "needs tls_client_ca, or no certificate could be right");
  }
  if (settings.uses_tls() && !has_pair && !has_chains) {
    reader.complain("listen", "TLS needs a certificate: set tls_cert_file or tls_chain_files");
  }
}

void require_proxies(ParameterReader& reader, const Settings& settings) {
  if (!settings.trusted_clients.empty()) return;
  for (const ListenSpec& spec : settings.listen) {
    if (!spec.options.proxy) continue;
    reader.complain("listen", fmt::format("{}: only trusted_clients are believed to be a proxy, "
                                          "and there are none",
                                          spec.text));
  }
}

void read_sessions(ParameterReader& reader, Settings& settings) {
  reader.directory("queue_directory", settings.queue_directory);
  reader.store("listen", parse_listen_list(reader.text("listen"), settings.queue_directory),
               settings.listen);
  read_tls(reader, settings);
  reader.store("trusted_clients", parse_network_list(reader.text("trusted_clients")),
               settings.trusted_clients);
  require_proxies(reader, settings);
  reader.user_group("listen_owner", settings.listen_owner);
  reader.store("listen_mode", parse_mode(reader.text("listen_mode")), settings.listen_mode);
  reader.time("session_timeout", settings.session_timeout, 1s);
  reader.time("transaction_time_limit", settings.transaction_time_limit, 1s);
  reader.number("connection_limit", settings.connection_limit, 1, 1'000'000);
  reader.number("client_connection_limit", settings.client_connection_limit, 1, 1'000'000);
  reader.number("recipient_limit", settings.recipient_limit, 1, 1'000'000);
  reader.number("error_limit", settings.error_limit);
  // Below, a session with TLS, AUTH and XFORWARD would not come to its first recipient.
  reader.number("junk_command_limit", settings.junk_command_limit, 20);
  reader.yes_no("strict_rfc821_envelopes", settings.strict_rfc821_envelopes);
  reader.yes_no("disable_vrfy_command", settings.disable_vrfy_command);
  reader.size("message_size_limit", settings.message_size_limit, 0);
  reader.number("hopcount_limit", settings.hopcount_limit);
  reader.choice(
      "forbid_bare_newline", settings.forbid_bare_newline,
      std::to_array<std::pair<std::string_view, ForbidBareNewline>>(
          {{"normalize", ForbidBareNewline::normalize}, {"reject", ForbidBareNewline::reject}}));
}

void read_auth(ParameterReader& reader, Settings& settings) {
  constexpr std::string_view kName = "auth_mechanisms";
  constexpr auto kKnown = std::to_array<std::string_view>({"SCRAM-SHA-256", "PLAIN", "LOGIN"});
  reader.tables("auth_password_maps", settings.auth_password_maps);
  reader.words(kName, settings.auth_mechanisms, kKnown, ParameterReader::Letters::in_capitals);
  if (settings.auth_mechanisms.empty()) reader.complain(kName, "must name a mechanism");
}

// Mail would be refused for good, which a mistake in the configuration must not do.
void refuse_closed_doors(ParameterReader& reader, const Settings& settings) {
  if (settings.auth_mechanisms.empty()) return;  // which is an error by itself
  for (const ListenSpec& spec : settings.listen) {
    if (spec.kind == ListenSpec::Kind::unix_socket || !spec.options.auth.value_or(true)) continue;
    const bool trusts_somebody = !settings.trusted_clients.empty() ||
                                 (settings.has_tls_at(spec) && !settings.tls_client_ca.empty());
    if (!spec.options.auth && trusts_somebody) continue;
    if (settings.auth_password_maps.empty()) {
      reader.complain("listen",
                      spec.options.auth
                          ? fmt::format("{}: auth=yes needs auth_password_maps", spec.text)
                          : fmt::format("{}: nobody could deliver here: set trusted_clients or "
                                        "auth_password_maps, or give it the option auth=no",
                                        spec.text));
    } else if (settings.mechanisms_at(spec).empty()) {
      reader.complain("listen", fmt::format("{}: nobody could deliver here: each of "
                                            "auth_mechanisms needs TLS, and there is none",
                                            spec.text));
    }
  }
}

void read_delivery_and_cache(ParameterReader& reader, Settings& settings) {
  reader.choice("over_quota", settings.over_quota,
                std::to_array<std::pair<std::string_view, OverQuota>>(
                    {{"reject", OverQuota::reject}, {"defer", OverQuota::defer}}));
  reader.yes_no("fsync", settings.fsync);
  // Where a failed write-out is told to every open descriptor's next sync, whoever began it, and a
  // change of a directory fails once the journal is lost. Not ext4, whose syncfs(2) returns 0 where
  // it could not allocate blocks (maildir/message_file.cc), and which is faster without.
  constexpr auto kSharing = std::to_array<std::string_view>({"xfs", "btrfs"});
  reader.words("commit_file_systems", settings.commit_file_systems, kSharing);
  reader.time("commit_timeout", settings.commit_timeout, 1ms);
  reader.size("spool_limit", settings.spool_limit, 1 << 20);
  reader.number("worker_limit", settings.worker_limit, 1, 10'000);
  reader.size("cache_size", settings.cache_size, 0);
  reader.size("cache_memory", settings.cache_memory, 0);
  reader.time("cache_ttl", settings.cache_ttl, 0ms);
  reader.time("cache_negative_ttl", settings.cache_negative_ttl, 0ms);
  reader.time("cache_stale_ttl", settings.cache_stale_ttl, 0ms);
  reader.time("db_connect_timeout", settings.db_connect_timeout, 1ms);
  reader.time("db_query_timeout", settings.db_query_timeout, 1ms);
  reader.choice(
      "db_prepared_statements", settings.db_prepared_statements,
      std::to_array<std::pair<std::string_view, bool>>({{"auto", true}, {"never", false}}));
  reader.database_hosts("notify_hosts", settings.notify_hosts);
}

void read_processes(ParameterReader& reader, Settings& settings) {
  settings.postfix_config_directory = reader.text("postfix_config_directory");
  reader.number("frontend_processes", settings.frontend_processes, 1, 64);
  reader.account("frontend_user", settings.frontend_user);
  reader.account("lookup_user", settings.lookup_user);
  // Processes of one user can trace and signal each other: the roles' walls would be none.
  if (settings.lookup_user == settings.frontend_user) {
    reader.complain("lookup_user", "must not be the same as frontend_user");
  }
  reader.account("sync_user", settings.sync_user);
  if (settings.sync_user == settings.frontend_user || settings.sync_user == settings.lookup_user) {
    reader.complain("sync_user", "must not be the same as frontend_user or lookup_user");
  }
  reader.account("mail_owner", settings.mail_owner);
  reader.account("setgid_group", settings.setgid_group);
  reader.socket_path("control_socket", settings.control_socket);
  reader.time("drain_time", settings.drain_time, 0ms);
  reader.choice("log", settings.log,
                std::to_array<std::pair<std::string_view, LogTarget>>(
                    {{"stderr", LogTarget::standard_error}, {"syslog", LogTarget::syslog}}));
}

}  // namespace

Result<Settings> Settings::parse(const Parameters& parameters) {
  Settings settings;
  ParameterReader reader(parameters);
  read_tables(reader, settings);
  read_addresses(reader, settings);
  read_sessions(reader, settings);
  read_auth(reader, settings);
  refuse_closed_doors(reader, settings);
  read_socketmap(reader, settings);
  read_delivery_and_cache(reader, settings);
  read_processes(reader, settings);
  if (!reader.complaints().empty()) return reader.complaints().as_failure();
  return settings;
}

TlsLevel Settings::starttls_at(const ListenSpec& listener) const {
  if (listener.kind != ListenSpec::Kind::inet) return TlsLevel::none;
  return listener.options.tls.value_or(tls_security_level);
}

bool Settings::has_tls_at(const ListenSpec& listener) const {
  return listener.kind == ListenSpec::Kind::inets || starttls_at(listener) != TlsLevel::none;
}

std::vector<std::string> Settings::mechanisms_at(const ListenSpec& listener) const {
  if (auth_password_maps.empty()) return {};
  std::vector<std::string> usable = auth_mechanisms;
  if (!has_tls_at(listener)) std::erase_if(usable, sends_password);
  return usable;
}

bool Settings::uses_tls() const {
  return std::ranges::any_of(listen,
                             [this](const ListenSpec& listener) { return has_tls_at(listener); });
}

std::uint64_t Settings::share_of(std::uint64_t limit) const {
  return std::max<std::uint64_t>(1, limit / frontend_processes);
}

std::uint64_t Settings::size_announced() const {
  const std::uint64_t share = share_of(spool_limit);
  return message_size_limit == 0 ? share : std::min(message_size_limit, share);
}

std::vector<std::string> Settings::tls_files() const {
  if (!uses_tls()) return {};
  std::vector<std::string> files = tls_chain_files;
  for (const std::string* file : {&tls_cert_file, &tls_key_file, &tls_client_ca}) {
    if (!file->empty()) files.push_back(*file);
  }
  return files;
}

std::vector<ListenSpec> Settings::all_listeners() const {
  std::vector<ListenSpec> all = listen;
  all.insert(all.end(), socketmap_listen.begin(), socketmap_listen.end());
  return all;
}

namespace {

void add_once(MatchList& list, const MatchItem& item) {
  if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

}  // namespace

MatchList sources_of(const Settings& settings) {
  MatchList all;
  for (const TableList* list :
       {&settings.virtual_mailbox_maps, &settings.virtual_uid_maps, &settings.virtual_gid_maps,
        &settings.virtual_alias_maps, &settings.transport_maps, &settings.auth_password_maps}) {
    for (const TableRef& table : *list) {
      add_once(all, {.kind = MatchItem::Kind::table, .table = table});
    }
  }
  for (const MatchList* list : {&settings.virtual_mailbox_domains, &settings.mydestination}) {
    for (MatchItem item : *list) {
      item.negated = false;
      if (item.kind != MatchItem::Kind::name) add_once(all, item);
    }
  }
  return all;
}

}  // namespace lmtpd
