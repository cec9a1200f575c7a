// lmtpd/base/config/parameter_table.h -- every parameter that lmtpd knows.
//
// The one place for names, defaults and one-line descriptions: unknown names, `lmtpd -n`,
// docs/configuration.md and contrib/lmtpd.cf are checked against it. A parameter is here only if
// something honours it.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace lmtpd {

enum class Owner {
  postfix,  // Postfix's name and meaning: taken from main.cf where lmtpd.cf leaves it out
  lmtpd,
};

struct ParameterInfo {
  std::string_view name;
  Owner owner;
  std::string_view default_text;  // before expansion
  std::string_view description;
};

inline constexpr auto kParameters = std::to_array<ParameterInfo>({
    // clang-format off
    {"postfix_config_directory", Owner::lmtpd, "", "Where Postfix's main.cf lies, to take from it what lmtpd.cf leaves out."},

    {"virtual_mailbox_base", Owner::postfix, "", "The directory below which every mailbox lies."},
    {"virtual_mailbox_maps", Owner::postfix, "", "Tables from an address to its mailbox's path."},
    {"virtual_uid_maps", Owner::postfix, "", "Tables from an address to its mailbox's numeric user id."},
    {"virtual_gid_maps", Owner::postfix, "", "Tables from an address to its mailbox's numeric group id."},
    {"virtual_minimum_uid", Owner::postfix, "100", "The lowest user id that mail is delivered as."},
    {"mailbox_path_template", Owner::lmtpd, "", "The mailbox's path where a mailbox table only says that it exists."},
    {"virtual_alias_maps", Owner::postfix, "$virtual_maps", "Tables from an address to the addresses that it stands for."},
    {"virtual_maps", Owner::postfix, "", "The old name of virtual_alias_maps."},
    {"virtual_mailbox_domains", Owner::postfix, "$virtual_mailbox_maps", "The domains whose addresses are mailboxes here."},
    {"alias_expansion", Owner::lmtpd, "auto", "Whether aliases are expanded: auto, full or off."},
    {"remote_alias_target", Owner::lmtpd, "defer", "What an alias to an address that is not ours gets: defer or reject."},
    {"postmaster_address", Owner::lmtpd, "", "Who gets mail for postmaster where no table knows that address."},
    {"transport_errors", Owner::lmtpd, "no", "Whether error: and retry: rows of transport_maps refuse a recipient."},
    {"transport_maps", Owner::postfix, "", "Tables from an address or domain to a transport."},
    {"recipient_delimiter", Owner::postfix, "+", "The characters that part a user from an address extension."},
    {"propagate_unmatched_extensions", Owner::postfix, "canonical, virtual", "Where an address extension is carried over to what a table answers."},
    {"owner_request_special", Owner::postfix, "yes", "Whether owner-list and list-request are never split at a \"-\"."},
    {"virtual_alias_recursion_limit", Owner::postfix, "1000", "How often an address is replaced by what it stands for."},
    {"virtual_alias_expansion_limit", Owner::postfix, "1000", "How many addresses one address may stand for."},
    {"virtual_alias_address_length_limit", Owner::postfix, "1000", "Octets of an address that comes of an alias."},

    {"myhostname", Owner::postfix, "", "This host's name; by default as the system has it."},
    {"mydomain", Owner::postfix, "", "This host's domain; by default myhostname without its first label."},
    {"myorigin", Owner::postfix, "$myhostname", "The domain of an address without one."},
    {"mydestination", Owner::postfix, "$myhostname, localhost.$mydomain, localhost", "The domains for which tables are also asked for the bare user."},
    {"append_at_myorigin", Owner::postfix, "yes", "Whether an alias's target without a domain gets @$myorigin."},
    {"append_dot_mydomain", Owner::postfix, "${{$compatibility_level} <level {1} ? {yes} : {no}}", "Whether a domain without a dot gets .$mydomain."},
    {"allow_percent_hack", Owner::postfix, "yes", "Whether user%domain means user@domain."},

    {"listen", Owner::lmtpd, "unix:private/dovecot-lmtp", "The sockets on which LMTP is spoken."},
    {"socketmap_listen", Owner::lmtpd, "", "The sockets on which Postfix may look its tables up."},
    {"trusted_clients", Owner::lmtpd, "", "The addresses and networks of clients that are trusted."},
    {"listen_owner", Owner::lmtpd, "postfix:postfix", "User and group of the unix sockets."},
    {"listen_mode", Owner::lmtpd, "0660", "Mode of the unix sockets, octal."},
    {"queue_directory", Owner::postfix, "/var/spool/postfix", "Where a unix socket's relative path begins."},
    {"tls_security_level", Owner::lmtpd, "none", "Whether inet: clients are offered TLS: none, may, or encrypt, which they have to take."},
    {"tls_cert_file", Owner::lmtpd, "", "The server's certificate and its chain, PEM."},
    {"tls_key_file", Owner::lmtpd, "$tls_cert_file", "The certificate's private key, PEM."},
    {"tls_chain_files", Owner::lmtpd, "", "Files of private keys, each followed by its certificate and chain, PEM."},
    {"tls_protocols", Owner::lmtpd, ">=TLSv1.2", "Versions of TLS."},
    {"tls_cipherlist", Owner::lmtpd, "", "OpenSSL's list of ciphers for TLS 1.2; empty: OpenSSL's own."},
    {"tls_client_ca", Owner::lmtpd, "", "Certificates of who may sign clients', PEM; where set, clients are asked."},
    {"tls_req_ccert", Owner::lmtpd, "no", "Whether a client without such a certificate is refused."},
    {"starttls_timeout", Owner::lmtpd, "60s", "How long a client's TLS handshake may take."},

    {"session_timeout", Owner::lmtpd, "300s", "How long a client may be silent."},
    {"transaction_time_limit", Owner::lmtpd, "30m", "How long a client may take from MAIL to the dot."},
    {"connection_limit", Owner::lmtpd, "20000", "Connections that may send mail."},
    {"client_connection_limit", Owner::lmtpd, "15000",
     "Connections of one client that may send mail."},
    {"recipient_limit", Owner::lmtpd, "1000", "Recipients of one transaction."},
    {"error_limit", Owner::lmtpd, "20", "Refused commands of one session, then it is closed."},
    {"junk_command_limit", Owner::lmtpd, "100", "Commands of one session that lead to no message, then it is closed."},
    {"strict_rfc821_envelopes", Owner::postfix, "no", "Whether an address must stand in < and >, right behind the colon."},
    {"disable_vrfy_command", Owner::postfix, "no", "Whether VRFY is refused."},
    {"message_size_limit", Owner::postfix, "0", "Octets of a message; 0: no limit of its own."},
    {"hopcount_limit", Owner::postfix, "100", "Received headers of a message, then it loops."},
    {"forbid_bare_newline", Owner::lmtpd, "normalize", "What a bare newline in a message does: normalize or reject."},

    {"auth_password_maps", Owner::lmtpd, "", "Tables from a login name to its stored password, for AUTH."},
    {"auth_mechanisms", Owner::lmtpd, "PLAIN, LOGIN", "The SASL mechanisms that AUTH offers."},

    {"over_quota", Owner::lmtpd, "reject", "What a mailbox over its file system's quota gets: reject or defer."},
    {"fsync", Owner::lmtpd, "yes", "Whether a message is on disk before it is acknowledged."},
    {"commit_file_systems", Owner::lmtpd, "xfs, btrfs",
     "Types of file system on which one sync serves all deliveries that wait."},
    {"commit_timeout", Owner::lmtpd, "500ms", "How long a delivery waits for a sync that serves all."},
    {"spool_limit", Owner::lmtpd, "268435456", "Octets of memory for messages under way, of all clients together."},
    {"worker_limit", Owner::lmtpd, "200", "Delivering processes at a time, one a user and group id."},

    {"cache_size", Owner::lmtpd, "100000", "Entries of the cache of table answers; 0: no cache."},
    {"cache_memory", Owner::lmtpd, "67108864", "Octets of the cache of table answers."},
    {"cache_ttl", Owner::lmtpd, "300s", "How long an answer is kept."},
    {"cache_negative_ttl", Owner::lmtpd, "10s", "How long it is kept that a table has no answer."},
    {"cache_stale_ttl", Owner::lmtpd, "1h",
     "How long past cache_ttl an answer stands in while the database is away."},
    {"db_connect_timeout", Owner::lmtpd, "5s", "How long connecting to a database server may take."},
    {"db_query_timeout", Owner::lmtpd, "10s", "How long a database server may take to answer."},
    {"db_prepared_statements", Owner::lmtpd, "auto", "Whether queries are prepared: auto or never."},
    {"notify_hosts", Owner::lmtpd, "",
     "Where notices of changed rows come from; empty: the tables' hosts; none: nowhere."},

    {"frontend_processes", Owner::lmtpd, "1", "Processes that speak LMTP."},
    {"frontend_user", Owner::lmtpd, "lmtpd", "The user that those processes run as."},
    {"lookup_user", Owner::lmtpd, "lmtpd-lookup", "The user that the process which reads the tables runs as."},
    {"sync_user", Owner::lmtpd, "lmtpd-sync", "The user that the process which syncs for all deliveries runs as."},
    {"mail_owner", Owner::postfix, "postfix", "Postfix's user, as which nothing is delivered."},
    {"setgid_group", Owner::postfix, "postdrop", "Postfix's group, as which nothing is delivered."},
    {"control_socket", Owner::lmtpd, "/run/lmtpd/control", "The socket that lmtpctl speaks to."},
    {"drain_time", Owner::lmtpd, "300s", "How long old processes may finish after a reload or stop."},
    {"log", Owner::lmtpd, "stderr", "Where the log goes: stderr or syslog."},
    // clang-format on
});

// nullptr if there is none.
[[nodiscard]] constexpr const ParameterInfo* find_parameter(std::string_view name) {
  const auto* const found =
      std::find_if(kParameters.begin(), kParameters.end(),
                   [&](const ParameterInfo& row) { return row.name == name; });
  return found == kParameters.end() ? nullptr : found;
}

}  // namespace lmtpd
