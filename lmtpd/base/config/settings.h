// lmtpd/base/config/settings.h -- the configuration as typed values, made once from Parameters.
//
// A member has its parameter's name (docs/configuration.md says what each one means); the
// initialisers are the defaults of parameter_table.h, which a test compares. Users and groups are
// names: the role that needs the number resolves them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "lmtpd/base/config/listen_spec.h"
#include "lmtpd/base/config/table_ref.h"
#include "lmtpd/base/config/tls_versions.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/result.h"

namespace lmtpd {

class Parameters;

enum class AliasExpansion { automatic, full, off };  // "auto" in the file
enum class RemoteAliasTarget { defer, reject };
enum class OverQuota { reject, defer };
enum class ForbidBareNewline { normalize, reject };

struct UserGroup {
  std::string user;
  std::string group;
  bool operator==(const UserGroup&) const = default;
};

struct Settings {
  using Duration = std::chrono::milliseconds;

  // Typed and checked. Fails with every error found, one a line, each "file:line: parameter: what";
  // the error's reason has no meaning.
  [[nodiscard]] static Result<Settings> parse(const Parameters& parameters);

  // Of `listen`, then of socketmap_listen.
  [[nodiscard]] std::vector<ListenSpec> all_listeners() const;
  // What `listener`'s clients find: STARTTLS or none. Of inets: none, it has TLS before.
  [[nodiscard]] TlsLevel starttls_at(const ListenSpec& listener) const;
  [[nodiscard]] bool has_tls_at(const ListenSpec& listener) const;
  // Those of auth_mechanisms by which somebody could authenticate to `listener`.
  [[nodiscard]] std::vector<std::string> mechanisms_at(const ListenSpec& listener) const;
  // Whether any of `listen` has TLS.
  [[nodiscard]] bool uses_tls() const;
  // Of a limit of all frontends together each has an equal part; 1 at least.
  [[nodiscard]] std::uint64_t share_of(std::uint64_t limit) const;
  // The largest message that is taken, in octets.
  [[nodiscard]] std::uint64_t size_announced() const;
  // The files of tls_*, if uses_tls().
  [[nodiscard]] std::vector<std::string> tls_files() const;

  // ---- Postfix's
  std::string virtual_mailbox_base;   // absolute, no slash at its end; required
  TableList virtual_mailbox_maps;     // required
  TableList virtual_uid_maps;         // required
  TableList virtual_gid_maps;         // required
  TableList virtual_alias_maps;       // by default $virtual_maps
  MatchList virtual_mailbox_domains;  // by default $virtual_mailbox_maps
  TableList transport_maps;           // empty unless transport_errors or socketmap_listen
  std::uint32_t virtual_minimum_uid = 100;
  std::string queue_directory = "/var/spool/postfix";
  std::string myhostname;  // by default as Postfix makes it of gethostname(2)
  std::string mydomain;
  std::string myorigin;
  MatchList mydestination;
  bool append_at_myorigin = true;
  bool append_dot_mydomain = false;
  bool allow_percent_hack = true;
  bool owner_request_special = true;
  std::vector<std::string> propagate_unmatched_extensions = {"canonical", "virtual"};
  std::uint32_t virtual_alias_recursion_limit = 1000;
  std::uint32_t virtual_alias_expansion_limit = 1000;
  std::uint32_t virtual_alias_address_length_limit = 1000;  // octets
  std::string recipient_delimiter = "+";                    // a set of characters
  std::uint64_t message_size_limit = 0;                     // octets; 0: none
  std::uint32_t hopcount_limit = 100;
  bool strict_rfc821_envelopes = false;
  bool disable_vrfy_command = false;
  std::string mail_owner = "postfix";  // no worker runs as these two
  std::string setgid_group = "postdrop";

  // ---- ours
  std::string postfix_config_directory;  // empty: no main.cf is read
  std::vector<ListenSpec> listen;        // one at least
  std::vector<ListenSpec> socketmap_listen;
  MatchList trusted_clients;  // networks and files (network_list.h)
  TlsLevel tls_security_level = TlsLevel::none;
  std::string tls_cert_file;  // absolute paths; a certificate and its key, or chain files
  std::string tls_key_file;
  std::vector<std::string> tls_chain_files;
  TlsVersions tls_protocols;
  std::string tls_cipherlist;  // empty: OpenSSL's own
  std::string tls_client_ca;   // empty: clients are asked for no certificate
  bool tls_req_ccert = false;
  Duration starttls_timeout{60'000};
  UserGroup listen_owner = {"postfix", "postfix"};
  std::uint32_t listen_mode = 0660;
  std::uint32_t frontend_processes = 1;
  std::string frontend_user = "lmtpd";
  std::string lookup_user = "lmtpd-lookup";
  std::string sync_user = "lmtpd-sync";
  std::string control_socket = "/run/lmtpd/control";
  LogTarget log = LogTarget::standard_error;
  std::uint64_t cache_size = 100'000;       // entries; 0: no cache
  std::uint64_t cache_memory = 67'108'864;  // octets
  Duration cache_ttl{300'000};
  Duration cache_negative_ttl{10'000};
  Duration cache_stale_ttl{3'600'000};
  Duration db_connect_timeout{5'000};
  Duration db_query_timeout{10'000};
  bool db_prepared_statements = true;
  std::string notify_hosts;  // as `hosts` in a table file; empty: those; "none": no notices
  AliasExpansion alias_expansion = AliasExpansion::automatic;
  RemoteAliasTarget remote_alias_target = RemoteAliasTarget::defer;
  bool transport_errors = false;
  std::string postmaster_address;     // empty: none
  std::string mailbox_path_template;  // empty: the mailbox table's answer is the path
  OverQuota over_quota = OverQuota::reject;
  ForbidBareNewline forbid_bare_newline = ForbidBareNewline::normalize;
  bool fsync = true;
  std::vector<std::string> commit_file_systems = {"xfs", "btrfs"};
  Duration commit_timeout{500};
  std::uint64_t spool_limit = 268'435'456;  // octets, over all frontends
  std::uint32_t worker_limit = 200;
  Duration drain_time{300'000};
  Duration session_timeout{300'000};
  Duration transaction_time_limit{1'800'000};
  std::uint32_t connection_limit = 20'000;
  std::uint32_t client_connection_limit = 15'000;
  std::uint32_t recipient_limit = 1000;
  std::uint32_t error_limit = 20;
  std::uint32_t junk_command_limit = 100;
  TableList auth_password_maps;  // empty: AUTH is not offered
  std::vector<std::string> auth_mechanisms = {"PLAIN", "LOGIN"};
};

// What the lookup role reads its answers from, once each: every table, and the /files of lists.
[[nodiscard]] MatchList sources_of(const Settings& settings);

}  // namespace lmtpd
