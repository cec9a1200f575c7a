#include "lookup/check/database_check.h"

#include <event2/event.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "lmtpd/base/log.h"
#include "lmtpd/event/event_ptr.h"
#include "lookup/auth/mechanism.h"
#include "lookup/check/password_check.h"
#include "lookup/check/row_listing.h"
#include "lookup/check/row_rules.h"
#include "lookup/resolver.h"
#include "lookup/site_tables.h"

namespace lmtpd::lookup {
namespace {

constexpr std::size_t kMostUnderWay = 500;
// Nobody's name, for a catch-all.
constexpr std::string_view kAnybody = "lmtpctl-check-db";

class DatabaseCheck final : private Resolver::Client {
 public:
  using Report = std::function<void(const std::string& line)>;

  DatabaseCheck(const Settings& settings, const FileReader& read_file, const Report& report)
      : settings_(settings), read_file_(read_file), report_(report) {}

  Result<CheckSummary> run() {
    const std::pair<TableList, TableRole> lists[] = {
        {settings_.virtual_mailbox_maps, TableRole::mailbox},
        {settings_.virtual_alias_maps, TableRole::alias},
        {settings_.virtual_uid_maps, TableRole::uid},
        {settings_.virtual_gid_maps, TableRole::gid},
        {settings_.transport_maps, TableRole::transport},
        {tables_of(settings_.virtual_mailbox_domains), TableRole::domain},
        {tables_of(settings_.mydestination), TableRole::domain},
        {settings_.auth_password_maps, TableRole::password},
    };
    for (const auto& [tables, role] : lists) {
      for (const TableRef& table : tables) {
        if (Result<void> listed = list(table, role); !listed) {
          return tl::unexpected(std::move(listed.error()));
        }
      }
    }
    Settings settings = settings_;
    settings.notify_hosts = "none";
    const EventBasePtr base(event_base_new());
    const auto site = SiteTables::make(settings, base.get(), read_file_);
    if (!site) return tl::unexpected(site.error());
    site_ = site->get();
    if (Result<void> resolved = resolve_all(base.get()); !resolved) {
      return tl::unexpected(std::move(resolved.error()));
    }
    if (Result<void> looked = look_at_passwords(base.get()); !looked) {
      return tl::unexpected(std::move(looked.error()));
    }
    // They came as the database answered.
    std::sort(lines_.begin(), lines_.end());
    for (const std::string& line : lines_) report_(line);
    return summary_;
  }

 private:
  struct Key {
    std::uint32_t table = 0;  // in names_: where it was met first
    bool has_mailbox = false;
    bool has_alias = false;  // to something else than itself
  };

  static TableList tables_of(const MatchList& list) {
    TableList tables;
    for (const MatchItem& item : list) {
      if (item.kind == MatchItem::Kind::table) tables.push_back(item.table);
    }
    return tables;
  }

  // A table that lists domains by rows of another role is looked at once.
  Result<void> list(const TableRef& table, TableRole role) {
    if (role == TableRole::domain && std::ranges::find(names_, table.text()) != names_.end()) {
      return {};
    }
    const auto number = static_cast<std::uint32_t>(names_.size());
    names_.push_back(table.text());
    const auto listed = list_rows(table, read_file_, settings_.db_connect_timeout,
                                  [&](const Row& row) { take(number, role, row); });
    if (!listed) return tl::unexpected(listed.error());
    if (*listed == Listed::not_understood) summary_.unlisted.push_back(table.text());
    return {};
  }

  void take(std::uint32_t table, TableRole role, const Row& row) {
    ++summary_.rows;
    std::vector<Finding> findings = row_findings(role, row);
    const std::string key_wrong = key_fault(role, row.key);
    if (!key_wrong.empty()) findings.push_back({key_wrong});
    for (const Finding& finding : findings) say(names_[table], row.key, finding);
    if (key_wrong.empty() && role == TableRole::password) users_.insert(row.key);
    const bool names_mailboxes = role == TableRole::mailbox || role == TableRole::alias;
    if (!key_wrong.empty() || !names_mailboxes || row.key.find('@') == std::string::npos) return;
    Key& key = keys_.try_emplace(row.key, Key{.table = table}).first->second;
    for (const std::optional<std::string>& value : row.values) {
      if (!value || value->empty() || *value == "dummy") continue;
      key.has_mailbox |= role == TableRole::mailbox;
      key.has_alias |= role == TableRole::alias && *value != row.key;
    }
  }

  // Once for a key and fault, in however many tables it stands.
  void say(const std::string& table, std::string_view key, const Finding& finding) {
    if (!said_.emplace(key, finding.what).second) return;
    ++(finding.is_note ? summary_.notes : summary_.faults);
    lines_.push_back(fmt::format("{}: <{}> {}{}", table, escaped(key),
                                 finding.is_note ? "note: " : "", finding.what));
  }

  // On many keys.
  void note(std::string_view table, std::string_view what) {
    ++summary_.notes;
    lines_.push_back(fmt::format("{}: note: {}", table, what));
  }

  Result<void> look_at_passwords(event_base* base) {
    PasswordCheck check(base, site_->password_tables(),
                        [&](const std::string& table, const std::string& user,
                            const std::string& what) { say(table, user, {what}); });
    if (Result<void> looked = check.run(users_); !looked) return looked;
    if (const auto& users = check.without_password(); !users.empty()) {
      note("auth_password_maps", "no password, and no login: " + some_names(users));
    }
    const auto& offered = settings_.auth_mechanisms;
    if (std::ranges::find(offered, kScramSha256) == offered.end()) return {};
    for (const auto& [table, users] : check.without_scram()) {
      note(table, fmt::format("no password for {}, which auth_mechanisms has, and a client may try "
                              "nothing else: {}",
                              kScramSha256, some_names(users)));
    }
    return {};
  }

  Result<void> resolve_all(event_base* base) {
    Resolver resolver(site_->resolver_settings());
    for (const auto& [address, key] : keys_) {
      if (key.has_mailbox && key.has_alias &&
          settings_.alias_expansion == AliasExpansion::automatic) {
        say(names_[key.table], address,
            {.what = "has a mailbox and an alias: alias_expansion = auto follows the mailbox only",
             .is_note = true});
      }
      start(resolver, address, key);
      while (asked_.size() >= kMostUnderWay && !failure_) event_base_loop(base, EVLOOP_ONCE);
      if (failure_) break;
    }
    while (!asked_.empty() && !failure_) event_base_loop(base, EVLOOP_ONCE);
    // Those that it waits for end with their tables.
    resolver.abandon(*this);
    while (resolver.under_way() > 0) event_base_loop(base, EVLOOP_ONCE);
    if (failure_) return tl::unexpected(*failure_);
    return {};
  }

  void start(Resolver& resolver, const std::string& text, const Key& key) {
    const std::optional<Address> address =
        address_of_key(text.starts_with('@') ? std::string(kAnybody) + text : text);
    if (!address) return;  // a catch-all of what is no domain
    const std::uint64_t id = next_id_++;
    asked_.emplace(id, std::pair(text, key.table));
    if (const auto known = resolver.resolve(*address, *this, id)) on_outcome(id, *known);
  }

  void on_outcome(std::uint64_t id, const Resolution& resolution) override {
    const auto asked = asked_.extract(id);
    const auto& [key, table] = asked.mapped();
    if (resolution.mailboxes) {
      for (const Note& note : resolution.notes) say(names_[table], key, {note.text});
      return;
    }
    const Error& error = resolution.mailboxes.error();
    // A catch-all that keeps the user's name, and has no such user.
    if (error.reason == Reason::unknown_user && error.text.find(kAnybody) != std::string::npos) {
      return;
    }
    // What it says of a row begins with the row's address, or every table could be asked; else it
    // is the database's failure.
    if (error.reason == Reason::lookup_failed && !error.text.starts_with("alias <") &&
        site_->statistics().database_failures > 0) {
      failure_ = error;
      return;
    }
    // Where Postfix expands aliases, no mail for it comes here. A target that has got $myorigin was
    // a word, a command or a file.
    const bool is_elsewhere = error.reason == Reason::remote_target &&
                              error.text.find("@" + settings_.myorigin + ">") == std::string::npos;
    say(names_[table], key,
        {.what = "leads to no mailbox: " + error.text,
         .is_note = is_elsewhere && settings_.alias_expansion != AliasExpansion::full});
  }

  const Settings& settings_;
  const FileReader& read_file_;
  const Report& report_;
  const SiteTables* site_ = nullptr;  // while it is asked
  CheckSummary summary_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, Key> keys_;
  PasswordCheck::Names users_;
  std::set<std::pair<std::string, std::string>> said_;
  std::vector<std::string> lines_;
  std::unordered_map<std::uint64_t, std::pair<std::string, std::uint32_t>> asked_;
  std::uint64_t next_id_ = 0;
  std::optional<Error> failure_;
};

}  // namespace

Result<CheckSummary> check_databases(const Settings& settings, const FileReader& read_file,
                                     const DatabaseCheck::Report& report) {
  return DatabaseCheck(settings, read_file, report).run();
}

}  // namespace lmtpd::lookup
