#include "lmtpd/base/config/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "lmtpd/base/config/parameter_table.h"
#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/config/values.h"
#include "tests/config/memory_files.h"

namespace lmtpd {
namespace {

using test::kMinimum;
using test::load_both;
using test::load_own;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

Result<Settings> parse(const std::string& text) {
  const auto parameters = load_own(text);
  if (!parameters) return tl::unexpected(parameters.error());
  return Settings::parse(*parameters);
}

TableRef table_ref(std::string_view text) { return parse_table_ref(text).value(); }

std::string error(const std::string& text) {
  const auto settings = parse(text);
  return settings ? "no error" : settings.error().text;
}

TEST(Settings, TheTablesDefaultsAreTheMembers) {
  const auto settings = parse(kMinimum);
  ASSERT_TRUE(settings) << settings.error().text;
  const Settings fresh;
#define EXPECT_DEFAULT(member) EXPECT_EQ(settings->member, fresh.member) << #member
  EXPECT_DEFAULT(virtual_minimum_uid);
  EXPECT_DEFAULT(queue_directory);
  EXPECT_DEFAULT(append_at_myorigin);
  EXPECT_DEFAULT(append_dot_mydomain);
  EXPECT_DEFAULT(allow_percent_hack);
  EXPECT_DEFAULT(owner_request_special);
  EXPECT_DEFAULT(propagate_unmatched_extensions);
  EXPECT_DEFAULT(virtual_alias_recursion_limit);
  EXPECT_DEFAULT(virtual_alias_expansion_limit);
  EXPECT_DEFAULT(virtual_alias_address_length_limit);
  EXPECT_DEFAULT(recipient_delimiter);
  EXPECT_DEFAULT(message_size_limit);
  EXPECT_DEFAULT(hopcount_limit);
  EXPECT_DEFAULT(strict_rfc821_envelopes);
  EXPECT_DEFAULT(disable_vrfy_command);
  EXPECT_DEFAULT(mail_owner);
  EXPECT_DEFAULT(setgid_group);
  EXPECT_DEFAULT(postfix_config_directory);
  EXPECT_DEFAULT(trusted_clients);
  EXPECT_DEFAULT(tls_security_level);
  EXPECT_DEFAULT(tls_cert_file);
  EXPECT_DEFAULT(tls_key_file);
  EXPECT_DEFAULT(tls_chain_files);
  EXPECT_DEFAULT(tls_protocols);
  EXPECT_DEFAULT(tls_cipherlist);
  EXPECT_DEFAULT(tls_client_ca);
  EXPECT_DEFAULT(tls_req_ccert);
  EXPECT_DEFAULT(starttls_timeout);
  EXPECT_DEFAULT(auth_password_maps);
  EXPECT_DEFAULT(auth_mechanisms);
  EXPECT_DEFAULT(listen_owner);
  EXPECT_DEFAULT(listen_mode);
  EXPECT_DEFAULT(frontend_processes);
  EXPECT_DEFAULT(frontend_user);
  EXPECT_DEFAULT(lookup_user);
  EXPECT_DEFAULT(sync_user);
  EXPECT_DEFAULT(commit_file_systems);
  EXPECT_DEFAULT(commit_timeout);
  EXPECT_DEFAULT(control_socket);
  EXPECT_DEFAULT(log);
  EXPECT_DEFAULT(cache_size);
  EXPECT_DEFAULT(cache_memory);
  EXPECT_DEFAULT(cache_ttl);
  EXPECT_DEFAULT(cache_negative_ttl);
  EXPECT_DEFAULT(cache_stale_ttl);
  EXPECT_DEFAULT(notify_hosts);
  EXPECT_DEFAULT(db_connect_timeout);
  EXPECT_DEFAULT(db_query_timeout);
  EXPECT_DEFAULT(db_prepared_statements);
  EXPECT_DEFAULT(alias_expansion);
  EXPECT_DEFAULT(remote_alias_target);
  EXPECT_DEFAULT(transport_errors);
  EXPECT_DEFAULT(socketmap_listen);
  EXPECT_DEFAULT(transport_maps);
  EXPECT_DEFAULT(postmaster_address);
  EXPECT_DEFAULT(mailbox_path_template);
  EXPECT_DEFAULT(over_quota);
  EXPECT_DEFAULT(forbid_bare_newline);
  EXPECT_DEFAULT(fsync);
  EXPECT_DEFAULT(spool_limit);
  EXPECT_DEFAULT(worker_limit);
  EXPECT_DEFAULT(drain_time);
  EXPECT_DEFAULT(session_timeout);
  EXPECT_DEFAULT(transaction_time_limit);
  EXPECT_DEFAULT(connection_limit);
  EXPECT_DEFAULT(client_connection_limit);
  EXPECT_DEFAULT(recipient_limit);
  EXPECT_DEFAULT(error_limit);
  EXPECT_DEFAULT(junk_command_limit);
#undef EXPECT_DEFAULT
  ASSERT_EQ(settings->listen.size(), 1U);
  EXPECT_EQ(settings->listen[0].path, "/var/spool/postfix/private/dovecot-lmtp");
  EXPECT_EQ(settings->listen[0].text, "unix:private/dovecot-lmtp");
}

TEST(Settings, TakesEveryValue) {
  const auto settings = parse(std::string(kMinimum) + R"(
virtual_mailbox_base = /srv/mail//
virtual_alias_maps = proxy:pgsql:/a.cf, inline:{ a=b, c=d }
virtual_mailbox_domains = a.org !b.org /etc/domains
virtual_minimum_uid = 8
queue_directory = /q
alias_expansion = full
remote_alias_target = reject
transport_errors = YES
transport_maps = sqlite:/t.cf
postmaster_address = admin@a.org
mailbox_path_template = %d/%u/Maildir/
recipient_delimiter = +-
propagate_unmatched_extensions =
message_size_limit = 10240000
listen = unix:p {inet:*:2424}
trusted_clients = 192.0.2.1
listen_owner = root:mail
listen_mode = 600
over_quota = defer
forbid_bare_newline = reject
fsync = no
cache_size = 0
cache_ttl = 1h
db_query_timeout = 250ms
db_prepared_statements = never
log = syslog
)");
  ASSERT_TRUE(settings) << settings.error().text;
  EXPECT_EQ(settings->virtual_mailbox_base, "/srv/mail");
  EXPECT_THAT(settings->virtual_alias_maps,
              ElementsAre(table_ref("pgsql:/a.cf"), table_ref("inline:{ a=b, c=d }")));
  EXPECT_EQ(settings->virtual_mailbox_domains.size(), 3U);
  EXPECT_EQ(settings->virtual_minimum_uid, 8U);
  EXPECT_EQ(settings->alias_expansion, AliasExpansion::full);
  EXPECT_EQ(settings->remote_alias_target, RemoteAliasTarget::reject);
  EXPECT_TRUE(settings->transport_errors);
  EXPECT_THAT(settings->transport_maps, ElementsAre(table_ref("sqlite:/t.cf")));
  EXPECT_EQ(settings->postmaster_address, "admin@a.org");
  EXPECT_EQ(settings->mailbox_path_template, "%d/%u/Maildir/");
  EXPECT_EQ(settings->recipient_delimiter, "+-");
  EXPECT_TRUE(settings->propagate_unmatched_extensions.empty());
  EXPECT_EQ(settings->message_size_limit, 10'240'000U);
  ASSERT_EQ(settings->listen.size(), 2U);
  EXPECT_EQ(settings->listen[0].path, "/q/p");
  EXPECT_EQ(settings->listen[1].port, 2424);
  EXPECT_EQ(settings->listen_owner, (UserGroup{"root", "mail"}));
  EXPECT_EQ(settings->listen_mode, 0600U);
  EXPECT_EQ(settings->over_quota, OverQuota::defer);
  EXPECT_EQ(settings->forbid_bare_newline, ForbidBareNewline::reject);
  EXPECT_FALSE(settings->fsync);
  EXPECT_EQ(settings->cache_size, 0U);
  EXPECT_EQ(settings->cache_ttl, std::chrono::hours(1));
  EXPECT_EQ(settings->db_query_timeout, std::chrono::milliseconds(250));
  EXPECT_FALSE(settings->db_prepared_statements);
  EXPECT_EQ(settings->log, LogTarget::syslog);
}

// No parameter is taken without a look at its value.
TEST(Settings, RefusesJunkInEveryParameterByItsName) {
  const std::set<std::string_view> elsewhere = {
      "postfix_config_directory",  // a path that does not exist: Parameters fails
      "virtual_maps",              // read as virtual_alias_maps' default
  };
  for (const ParameterInfo& row : kParameters) {
    if (elsewhere.contains(row.name)) continue;
    std::string text = kMinimum;
    if (row.name == "transport_maps") text += "transport_errors = yes\n";
    // No type takes a blank, an @, a colon that parts no table from its name, and a brace.
    text += std::string(row.name) + " = :: @ %z\n";
    const std::string line =
        "/etc/lmtpd/lmtpd.cf:" + std::to_string(std::count(text.begin(), text.end(), '\n')) + ": ";
    EXPECT_THAT(error(text), StartsWith(line + std::string(row.name) + ": "));
  }
}

TEST(Settings, TellsEveryErrorAtOnce) {
  EXPECT_EQ(
      error("cache_ttl = 5y\nvirtual_mailbox_maps =\nlisten_mode = 999\n"),
      "/etc/lmtpd/lmtpd.cf: virtual_mailbox_base: must be set\n"
      "/etc/lmtpd/lmtpd.cf:2: virtual_mailbox_maps: must name a table\n"
      "/etc/lmtpd/lmtpd.cf: virtual_uid_maps: must name a table\n"
      "/etc/lmtpd/lmtpd.cf: virtual_gid_maps: must name a table\n"
      "/etc/lmtpd/lmtpd.cf:3: listen_mode: \"999\" is not an octal mode of at most 0777\n"
      "/etc/lmtpd/lmtpd.cf:1: cache_ttl: \"5y\" is not a time: a number and one of s, m, h, d, "
      "w or ms");
}

TEST(Settings, RefusesWhatDoesNotFit) {
  const std::pair<const char*, const char*> cases[] = {
      {"virtual_mailbox_base = srv", "not an absolute path"},
      {"virtual_mailbox_maps = , ,", "must name a table"},
      {"virtual_uid_maps = mysql:/x", "no tables of type \"mysql\""},
      {"virtual_minimum_uid = 0", "between 1 and"},
      {"virtual_minimum_uid = 4294967296", "between 1 and"},
      {"virtual_alias_recursion_limit = 0", "between 1 and"},
      {"hopcount_limit = -1", "not a number"},
      {"frontend_processes = 65", "between 1 and 64"},
      {"message_size_limit = 9223372036854775808", "between 0 and"},
      {"spool_limit = 1000", "between 1048576 and"},
      {"drain_time = 5w", "between 0s and 24d"},
      {"session_timeout = 0", "between 1s and"},
      {"transport_errors = yes", "transport_maps: must name a table"},
      {"listen_owner = postfix", "user:group"},
      {"listen_owner = a:b:c", "user:group"},
      {"listen_owner = :b", "user:group"},
      {"frontend_user =", "not the name of one user"},
      {"frontend_user = lmtpd-lookup", "lookup_user: must not be the same"},
      {"sync_user = lmtpd", "sync_user: must not be the same"},
      {"lookup_user = lmtpd-sync", "sync_user: must not be the same"},
      {"commit_file_systems = xfs, zfs", "\"zfs\" is none of: xfs, btrfs"},
      {"commit_file_systems = ext4, xfs", "\"ext4\" is none of: xfs, btrfs"},
      {"commit_timeout = 0", "between 1ms and"},
      {"alias_expansion = Full", "is none of: auto, full, off"},
      {"postmaster_address = admin", "user@domain"},
      {"postmaster_address = a b@c", "user@domain"},
      {"mailbox_path_template = %d/", "all mailboxes are one"},
      {"mailbox_path_template = %d/%u", "slash at its end"},
      {"mailbox_path_template = %x/%u/", "% that is not"},
      {"mailbox_path_template = %u/%", "% that is not"},
      {"mailbox_path_template = ../%u/", "no path"},
      {"recipient_delimiter = @", "part an address"},
      {"propagate_unmatched_extensions = virtuel", "none of: canonical, virtual, alias"},
      {"control_socket = lmtpd", "not an absolute path"},
      {"myhostname = a..b", "not the name of a host"},
      {"queue_directory = spool", "not an absolute path"},
  };
  for (const auto& [line, what] : cases) {
    EXPECT_THAT(error(std::string(kMinimum) + line + "\n"), HasSubstr(what)) << line;
  }
}

TEST(Settings, AsksNotForTransportMapsThatNothingReads) {
  const auto parameters = load_both(std::string(kMinimum) + "transport_maps = regexp:/x\n" +
                                    "virtual_maps = pgsql:/v.cf\n");
  ASSERT_TRUE(parameters);
  const auto settings = Settings::parse(*parameters);
  ASSERT_TRUE(settings) << settings.error().text;
  EXPECT_TRUE(settings->transport_maps.empty());
  EXPECT_THAT(settings->virtual_alias_maps, ElementsAre(table_ref("pgsql:/v.cf")));
}

TEST(Settings, NamesMainCfWhereTheValueIsItsOwn) {
  const auto parameters = load_both(std::string(kMinimum) + "virtual_alias_maps = ldap:/x\n");
  ASSERT_TRUE(parameters);
  EXPECT_THAT(
      Settings::parse(*parameters).error().text,
      StartsWith("/etc/postfix/main.cf:5: virtual_alias_maps: ldap:/x: lmtpd has no tables"));
}

TEST(Sources, AreNamedOnceEach) {
  const auto settings = parse(std::string(kMinimum) + R"(
virtual_gid_maps = static:5000
virtual_alias_maps = pgsql:/etc/postfix/mailboxes.cf hash:/etc/postfix/virtual inline:{a=b}
mydestination = $myhostname, /etc/domains, !texthash:/etc/more
auth_password_maps = pgsql:/etc/postfix/passwords.cf
transport_maps = pgsql:/unused.cf
)");
  ASSERT_TRUE(settings) << settings.error().text;
  std::vector<std::string> sources;
  for (const MatchItem& source : sources_of(*settings)) {
    EXPECT_FALSE(source.negated);
    sources.push_back(source.kind == MatchItem::Kind::file ? source.name : source.table.text());
  }
  EXPECT_THAT(sources,
              ElementsAre("pgsql:/etc/postfix/mailboxes.cf", "pgsql:/etc/postfix/uids.cf",
                          "static:5000", "hash:/etc/postfix/virtual", "inline:{a=b}",
                          "pgsql:/etc/postfix/passwords.cf", "/etc/domains", "texthash:/etc/more"));
}

TEST(Settings, RefusesOptionsThatWouldBePassedOver) {
  const auto listen = [](const char* value) {
    return error(std::string(kMinimum) + "listen = " + value + "\n");
  };
  EXPECT_THAT(listen("{inet:a proxy=yes}"), HasSubstr("only trusted_clients are believed"));
  EXPECT_EQ(listen("{inet:a tls=none auth=no proxy=no}"), "no error");
}

TEST(Settings, TlsIsWhatTheListenerSaysAndElseTheLevel) {
  const auto settings = parse(std::string(kMinimum) + R"(
tls_security_level = may
tls_cert_file = /c.pem
tls_client_ca = /ca.pem
tls_protocols = >=TLSv1.3
trusted_clients = 192.0.2.1
listen = unix:a inet:a {inet:b tls=none} {inet:c tls=encrypt} inets:d
)");
  ASSERT_TRUE(settings) << settings.error().text;
  std::vector<TlsLevel> levels;
  for (const ListenSpec& spec : settings->listen) levels.push_back(settings->starttls_at(spec));
  EXPECT_THAT(levels, ElementsAre(TlsLevel::none, TlsLevel::may, TlsLevel::none, TlsLevel::encrypt,
                                  TlsLevel::none));
  EXPECT_EQ(settings->tls_key_file, "/c.pem");
  EXPECT_EQ(settings->tls_protocols, (TlsVersions{TlsVersion::tls_1_3, TlsVersion::tls_1_3}));
  EXPECT_THAT(settings->tls_files(), ElementsAre("/c.pem", "/c.pem", "/ca.pem"));
}

TEST(Settings, FilesOfTlsAreLeftAloneWhereNobodyHasTls) {
  const auto settings = parse(std::string(kMinimum) + "tls_cert_file = /c.pem\n");
  ASSERT_TRUE(settings) << settings.error().text;
  EXPECT_FALSE(settings->uses_tls());
  EXPECT_TRUE(settings->tls_files().empty());
}

TEST(Settings, TlsHasWhatItNeeds) {
  const auto with = [](const char* lines) {
    return error(std::string(kMinimum) + "trusted_clients = 192.0.2.1\n" + lines + "\n");
  };
  EXPECT_THAT(with("listen = inets:a"), HasSubstr("listen: TLS needs a certificate"));
  EXPECT_THAT(with("listen = {inet:a tls=may}"), HasSubstr("listen: TLS needs a certificate"));
  EXPECT_THAT(with("listen = inet:a\ntls_security_level = may"), HasSubstr("needs a certificate"));
  EXPECT_EQ(with("listen = {inet:a tls=none}\ntls_security_level = encrypt"), "no error");
  EXPECT_EQ(with("listen = inets:a\ntls_chain_files = /a, /b"), "no error");
  EXPECT_THAT(with("tls_chain_files = /a b"), HasSubstr("\"b\" is not an absolute path"));
  EXPECT_THAT(with("tls_cert_file = c.pem"), HasSubstr("tls_cert_file: \"c.pem\" is not an abs"));
  EXPECT_THAT(with("tls_cert_file = /c\ntls_chain_files = /a"), HasSubstr("set one of them"));
  EXPECT_THAT(with("tls_key_file = /k"), HasSubstr("tls_key_file: needs tls_cert_file"));
  EXPECT_THAT(with("tls_req_ccert = yes"), HasSubstr("tls_req_ccert: needs tls_client_ca"));
  EXPECT_THAT(with("tls_security_level = must"), HasSubstr("none of: none, may, encrypt"));
}

TEST(Settings, ATcpListenerIsOpenToSomebody) {
  const auto with = [](const std::string& rest) { return error(std::string(kMinimum) + rest); };
  EXPECT_THAT(with("listen = inet:a\n"), HasSubstr("listen: inet:a: nobody could deliver here"));
  EXPECT_THAT(with("listen = {inet:a auth=yes}\ntrusted_clients = 192.0.2.1\n"),
              HasSubstr("auth=yes needs auth_password_maps"));
  EXPECT_THAT(with("listen = inet:a\ntls_client_ca = /ca\n"),
              HasSubstr("nobody could deliver here"));
  for (const char* auth : {"inet:a", "{inet:a auth=yes}"}) {
    EXPECT_THAT(with(std::string("listen = ") + auth + "\nauth_password_maps = pgsql:/p\n"),
                HasSubstr("nobody could deliver here: each of auth_mechanisms needs TLS"));
  }
  for (const char* open :
       {"listen = {inet:a auth=no}\n", "listen = inet:a\ntrusted_clients = 192.0.2.1\n",
        "listen = inets:a\ntls_cert_file = /c\nauth_password_maps = pgsql:/p\n",
        "listen = inets:a\ntls_cert_file = /c\ntls_client_ca = /ca\n",
        "listen = {inet:a auth=yes tls=may}\ntls_cert_file = /c\nauth_password_maps = pgsql:/p\n",
        "listen = {inet:a auth=yes}\nauth_password_maps = pgsql:/p\n"
        "auth_mechanisms = PLAIN, SCRAM-SHA-256\n"}) {
    EXPECT_EQ(with(open), "no error") << open;
  }
}

TEST(Settings, MechanismsAreThoseThatAreKnown) {
  const auto settings = *parse(std::string(kMinimum) + "auth_mechanisms = plain scram-sha-256\n");
  EXPECT_EQ(settings.auth_mechanisms, (std::vector<std::string>{"PLAIN", "SCRAM-SHA-256"}));
  EXPECT_THAT(error(std::string(kMinimum) + "auth_mechanisms = CRAM-MD5\n"),
              HasSubstr("auth_mechanisms: \"CRAM-MD5\" is none of"));
  EXPECT_THAT(error(std::string(kMinimum) + "auth_mechanisms =\n"),
              HasSubstr("must name a mechanism"));
}

TEST(Settings, PostfixAsksWithoutOptions) {
  const auto maps = [](const char* value) {
    return error(std::string(kMinimum) + "socketmap_listen = " + value + "\n");
  };
  EXPECT_THAT(maps("inets:a:1"),
              HasSubstr("socketmap_listen: inets:a:1: Postfix asks without TLS"));
  EXPECT_THAT(maps("{inet:a:1 auth=yes}"), HasSubstr("no option applies"));
  EXPECT_THAT(maps("unix:private/dovecot-lmtp"), HasSubstr("is one of listen, too"));
  EXPECT_EQ(maps("{inet:a:1}"), "no error");
}

}  // namespace
}  // namespace lmtpd
