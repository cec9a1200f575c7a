#include "lmtpd/base/config/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "lmtpd/base/address.h"
#include "lmtpd/base/config/complaints.h"
#include "lmtpd/base/config/network_list.h"
#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/config/values.h"
#include "lmtpd/base/types.h"

namespace lmtpd {
namespace {

using Duration = Settings::Duration;
using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr Duration kLongestTime = 24h * 24;  // 24 days: its milliseconds fit into 31 bits
constexpr std::uint32_t kMost = std::numeric_limits<std::int32_t>::max();
constexpr std::uint64_t kMostOctets = std::numeric_limits<std::int64_t>::max();

// Turns the text of one parameter after the other into a member, and notes what is wrong.
class Reader {
 public:
  explicit Reader(const Parameters& parameters) : parameters_(parameters) {}

  [[nodiscard]] const std::string& text(std::string_view name) const {
    return parameters_.value(name);
  }
  void complain(std::string_view name, std::string_view what) {
    complaints_.add(fmt::format("{}: {}", parameters_.origin(name), name), what);
  }
  [[nodiscard]] const Complaints& complaints() const { return complaints_; }

  template <class T>
  void store(std::string_view name, Parsed<T> parsed, T& member) {
    if (parsed) {
      member = std::move(*parsed);
    } else {
      complain(name, parsed.error());
    }
  }

  void yes_no(std::string_view name, bool& member) {
    store(name, parse_yes_no(text(name)), member);
  }
  void number(std::string_view name, std::uint32_t& member, std::uint32_t least = 1,
              std::uint32_t most = kMost) {
    const auto parsed = parse_number(text(name), least, most);
    if (parsed) {
      member = static_cast<std::uint32_t>(*parsed);
    } else {
      complain(name, parsed.error());
    }
  }
  void size(std::string_view name, std::uint64_t& member, std::uint64_t least) {
    store(name, parse_number(text(name), least, kMostOctets), member);
  }
  void time(std::string_view name, Duration& member, Duration least) {
    store(name, parse_time(text(name), least, kLongestTime), member);
  }
  void tables(std::string_view name, TableList& member) {
    store(name, parse_table_list(text(name)), member);
  }
  void required_tables(std::string_view name, TableList& member) {
    auto parsed = parse_table_list(text(name));
    if (parsed && parsed->empty()) parsed = tl::unexpected(std::string("must name a table"));
    store(name, std::move(parsed), member);
  }
  void matches(std::string_view name, MatchList& member) {
    store(name, parse_match_list(text(name)), member);
  }

  // Without the slashes at its end.
  void directory(std::string_view name, std::string& member) {
    std::string path = text(name);
    if (!path.starts_with('/')) {
      complain(name,
               path.empty() ? "must be set" : fmt::format("\"{}\" is not an absolute path", path));
      return;
    }
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    member = std::move(path);
  }

  // The absolute path of a file, or nothing.
  void file(std::string_view name, std::string& member) {
    if (!text(name).empty() && !text(name).starts_with('/')) {
      complain(name, fmt::format("\"{}\" is not an absolute path", text(name)));
    }
    member = text(name);
  }
  void files(std::string_view name, std::vector<std::string>& member) {
    const auto words = split_list(text(name));
    if (!words) return complain(name, words.error());
    for (const std::string_view word : *words) {
      if (!word.starts_with('/')) {
        complain(name, fmt::format("\"{}\" is not an absolute path", word));
      }
      member.emplace_back(word);
    }
  }

  // Of the characters of ciphers(1); whether it names any, OpenSSL says later.
  void ciphers(std::string_view name, std::string& member) {
    constexpr std::string_view kOctets =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:,!+@=";
    member = text(name);
    if (member.find_first_not_of(kOctets) != std::string::npos) {
      complain(name, fmt::format("\"{}\" is not a list of ciphers", member));
    }
  }

  void socket_path(std::string_view name, std::string& member) {
    store(name, parse_socket_path(text(name)), member);
  }

  // A user, a group, or both with a colon between them.
  [[nodiscard]] static bool is_account(std::string_view word) {
    return !word.empty() && word.find_first_of(": \t\r\n,/") == std::string_view::npos;
  }
  void account(std::string_view name, std::string& member) {
    if (is_account(text(name))) {
      member = text(name);
    } else {
      complain(name, fmt::format("\"{}\" is not the name of one user or group", text(name)));
    }
  }
  void user_group(std::string_view name, UserGroup& member) {
    const std::string& value = text(name);
    const std::size_t colon = std::min(value.find(':'), value.size());
    UserGroup parsed{value.substr(0, colon), value.substr(std::min(colon + 1, value.size()))};
    if (is_account(parsed.user) && is_account(parsed.group)) {
      member = std::move(parsed);
    } else {
      complain(name, fmt::format("\"{}\" is not of the form user:group", value));
    }
  }

  void host(std::string_view name, std::string& member) {
    constexpr std::string_view kOctets =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    const std::string& value = text(name);
    // Octets beyond ASCII are those of an internationalised name.
    const bool valid = !value.empty() && value.size() <= 253 && !value.starts_with('.') &&
                       !value.ends_with('.') && value.find("..") == std::string::npos &&
                       std::all_of(value.begin(), value.end(), [&](char c) {
                         return (static_cast<unsigned char>(c) & 0x80) != 0 ||
                                kOctets.find(c) != std::string_view::npos;
                       });
    if (valid) {
      member = value;
    } else {
      complain(name, fmt::format("\"{}\" is not the name of a host or domain", value));
    }
  }

  // As `hosts` in pgsql_table(5); whether a host or URI is one, libpq says later.
  void database_hosts(std::string_view name, std::string& member) {
    const std::string& value = text(name);
    const auto items = split_list(value);
    const auto is_host = [](std::string_view item) {
      return item.find("://") != std::string_view::npos ||
             item.find_first_of("@%{}=") == std::string_view::npos;
    };
    if (items && std::all_of(items->begin(), items->end(), is_host)) {
      member = value;
    } else {
      complain(name, fmt::format("\"{}\" is not a list of database hosts", value));
    }
  }

  template <class Choice, std::size_t N>
  void choice(std::string_view name, Choice& member,
              const std::array<std::pair<std::string_view, Choice>, N>& choices) {
    std::string words;
    for (const auto& [word, value] : choices) {
      if (text(name) == word) {
        member = value;
        return;
      }
      words += words.empty() ? "" : ", ";
      words += word;
    }
    complain(name, fmt::format("\"{}\" is none of: {}", text(name), words));
  }

 private:
  const Parameters& parameters_;
  Complaints complaints_;
};

void read_extensions(Reader& reader, Settings& settings) {
  constexpr std::string_view kName = "propagate_unmatched_extensions";
  constexpr auto kKnown = std::to_array<std::string_view>(
      {"canonical", "virtual", "alias", "forward", "include", "generic"});
  const auto words = split_list(reader.text(kName));
  if (!words) return reader.complain(kName, words.error());
  settings.propagate_unmatched_extensions.clear();
  for (const std::string_view word : *words) {
    if (std::find(kKnown.begin(), kKnown.end(), word) == kKnown.end()) {
      reader.complain(kName, fmt::format("\"{}\" is none of Postfix's words for it", word));
    }
    settings.propagate_unmatched_extensions.emplace_back(word);
  }
}

void read_delimiter(Reader& reader, Settings& settings) {
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

void read_postmaster(Reader& reader, Settings& settings) {
  constexpr std::string_view kName = "postmaster_address";
  settings.postmaster_address = reader.text(kName);
  if (settings.postmaster_address.empty()) return;
  const auto address = Address::parse(settings.postmaster_address);
  if (!address || address->domain().empty()) {
    reader.complain(kName, fmt::format("\"{}\" is not an address of the form user@domain",
                                       settings.postmaster_address));
  }
}

void read_path_template(Reader& reader, Settings& settings) {
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

void read_tables(Reader& reader, Settings& settings) {
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

void read_socketmap(Reader& reader, Settings& settings) {
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

void read_addresses(Reader& reader, Settings& settings) {
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

void read_tls(Reader& reader, Settings& settings) {
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

void require_proxies(Reader& reader, const Settings& settings) {
  if (!settings.trusted_clients.empty()) return;
  for (const ListenSpec& spec : settings.listen) {
    if (!spec.options.proxy) continue;
    reader.complain("listen", fmt::format("{}: only trusted_clients are believed to be a proxy, "
                                          "and there are none",
                                          spec.text));
  }
}

void read_sessions(Reader& reader, Settings& settings) {
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
  reader.yes_no("strict_rfc821_envelopes", settings.strict_rfc821_envelopes);
  reader.size("message_size_limit", settings.message_size_limit, 0);
  reader.number("hopcount_limit", settings.hopcount_limit);
  reader.choice(
      "forbid_bare_newline", settings.forbid_bare_newline,
      std::to_array<std::pair<std::string_view, ForbidBareNewline>>(
          {{"normalize", ForbidBareNewline::normalize}, {"reject", ForbidBareNewline::reject}}));
}

void read_auth(Reader& reader, Settings& settings) {
  constexpr std::string_view kName = "auth_mechanisms";
  constexpr auto kKnown = std::to_array<std::string_view>({"SCRAM-SHA-256", "PLAIN", "LOGIN"});
  reader.tables("auth_password_maps", settings.auth_password_maps);
  const auto words = split_list(reader.text(kName));
  if (!words) return reader.complain(kName, words.error());
  if (words->empty()) return reader.complain(kName, "must name a mechanism");
  settings.auth_mechanisms.clear();
  for (const std::string_view word : *words) {
    std::string name(word);
    std::transform(name.begin(), name.end(), name.begin(), [](char c) {
      return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    if (std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end()) {
      reader.complain(kName, fmt::format("\"{}\" is none of SCRAM-SHA-256, PLAIN, LOGIN", word));
    }
    settings.auth_mechanisms.push_back(std::move(name));
  }
}

// Mail would be refused for good, which a mistake in the configuration must not do.
void refuse_closed_doors(Reader& reader, const Settings& settings) {
  if (!settings.auth_password_maps.empty()) return;
  for (const ListenSpec& spec : settings.listen) {
    if (spec.kind == ListenSpec::Kind::unix_socket || !spec.options.auth.value_or(true)) continue;
    if (spec.options.auth) {
      reader.complain("listen", fmt::format("{}: auth=yes needs auth_password_maps", spec.text));
    } else if (settings.trusted_clients.empty() && settings.tls_client_ca.empty()) {
      reader.complain("listen", fmt::format("{}: nobody could deliver here: set trusted_clients or "
                                            "auth_password_maps, or write {{{} auth=no}}",
                                            spec.text, spec.text));
    }
  }
}

void read_delivery_and_cache(Reader& reader, Settings& settings) {
  reader.choice("over_quota", settings.over_quota,
                std::to_array<std::pair<std::string_view, OverQuota>>(
                    {{"reject", OverQuota::reject}, {"defer", OverQuota::defer}}));
  reader.yes_no("fsync", settings.fsync);
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

void read_processes(Reader& reader, Settings& settings) {
  settings.postfix_config_directory = reader.text("postfix_config_directory");
  reader.number("frontend_processes", settings.frontend_processes, 1, 64);
  reader.account("frontend_user", settings.frontend_user);
  reader.account("lookup_user", settings.lookup_user);
  // Processes of one user can trace and signal each other: the roles' walls would be none.
  if (settings.lookup_user == settings.frontend_user) {
    reader.complain("lookup_user", "must not be the same as frontend_user");
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
  Reader reader(parameters);
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

bool Settings::uses_tls() const {
  return std::ranges::any_of(listen, [this](const ListenSpec& listener) {
    return listener.kind == ListenSpec::Kind::inets || starttls_at(listener) != TlsLevel::none;
  });
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
