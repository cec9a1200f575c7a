#include "lmtpd/base/config/parameter_loader.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <set>

#include "lmtpd/base/config/cf_file.h"
#include "lmtpd/base/config/expand.h"

namespace lmtpd {
namespace {

// Postfix's defaults where they are not ours, and of parameters that others are likely to name.
constexpr auto kPostfixDefaults = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"recipient_delimiter", ""},
    {"hopcount_limit", "50"},
    {"message_size_limit", "10240000"},
    {"compatibility_level", "0"},
    {"alias_database", "hash:/etc/aliases"},
    {"alias_maps", "hash:/etc/aliases"},
    {"command_directory", "/usr/sbin"},
    {"daemon_directory", "/usr/lib/postfix/sbin"},
    {"data_directory", "/var/lib/postfix"},
    {"default_database_type", "hash"},
    {"default_transport", "smtp"},
    {"local_transport", "local:$myhostname"},
    {"mail_name", "Postfix"},
    {"mail_spool_directory", "/var/mail"},
    {"meta_directory", "/etc/postfix"},
    {"relay_domains", ""},
    {"relay_transport", "relay"},
    {"relayhost", ""},
    {"sendmail_path", "/usr/sbin/sendmail"},
    {"virtual_alias_domains", "$virtual_alias_maps"},
    {"virtual_transport", "virtual"},
});

std::optional<std::string_view> postfix_default(std::string_view name) {
  for (const auto& [known, text] : kPostfixDefaults) {
    if (known == name) return text;
  }
  const ParameterInfo* const shared = find_parameter(name);
  if (shared != nullptr && shared->owner == Owner::postfix) return shared->default_text;
  return std::nullopt;
}

}  // namespace

std::vector<ParameterLoader::Value> ParameterLoader::load(const std::string& path) {
  own_ = read_scope(path);
  if (!own_) return {};
  const Assignment* const set = own_->find("postfix_config_directory");
  const auto directory = own_->expanded(set != nullptr ? std::string_view(set->value) : "");
  if (!directory) {
    complain("postfix_config_directory", directory.error());
    return {};
  }
  if (!directory->empty()) read_main(*directory);
  add_own_fallbacks();
  check_names();
  std::vector<Value> values;
  for (const ParameterInfo& row : kParameters) values.push_back(evaluate(row));
  return values;
}

std::unique_ptr<Scope> ParameterLoader::read_scope(const std::string& path) {
  const auto text = read_file_(path);
  if (!text) {
    complaints_.add_all(text.error().text);
    return nullptr;
  }
  auto file = parse_cf_file(path, *text);
  if (!file) {
    complaints_.add_all(file.error().text);
    return nullptr;
  }
  for (std::string& warning : file->warnings) warnings_.push_back(std::move(warning));
  return std::make_unique<Scope>(path, std::move(file->assignments));
}

void ParameterLoader::read_main(const std::string& directory) {
  if (!directory.starts_with('/')) {
    complain("postfix_config_directory", "must be an absolute path");
    return;
  }
  main_ = read_scope(directory + "/main.cf");
  if (!main_) return;
  main_->add_fallback([this](std::string_view name) {
    return from_host(*main_, name, main_->find("mydomain") != nullptr);
  });
  main_->add_fallback([directory](std::string_view name) -> Definition {
    if (name == "config_directory") return Scope::Definition{directory, true};
    if (const auto known = postfix_default(name)) return Scope::Definition{std::string(*known)};
    return std::nullopt;
  });
}

void ParameterLoader::add_own_fallbacks() {
  own_->add_fallback([this](std::string_view name) { return from_main(name); });
  own_->add_fallback(
      [this](std::string_view name) { return from_host(*own_, name, domain_is_set()); });
  own_->add_fallback([this](std::string_view name) { return from_defaults(name); });
}

ParameterLoader::Definition ParameterLoader::from_main(std::string_view name) {
  if (!set_in_main(name)) return std::nullopt;
  const auto value = main_->value(name);
  if (!value) return tl::unexpected(value.error());
  return Scope::Definition{value->value_or(""), true};
}

// What an unset $myhostname and $mydomain stand for (Postfix's check_myhostname and
// check_mydomainname).
ParameterLoader::Definition ParameterLoader::from_host(Scope& scope, std::string_view name,
                                                       bool domain_is_set) {
  if (name == "myhostname") {
    if (host_name_.find('.') != std::string::npos) return Scope::Definition{host_name_, true};
    std::string domain = "localdomain";
    if (domain_is_set) {
      const auto set = scope.value("mydomain");
      if (!set) return tl::unexpected(set.error());
      domain = set->value_or("localdomain");
    }
    return Scope::Definition{host_name_ + "." + domain, true};
  }
  if (name == "mydomain") {
    const auto host = scope.value("myhostname");
    if (!host) return tl::unexpected(host.error());
    const std::string full = host->value_or("");
    const std::size_t dot = full.find('.');
    return Scope::Definition{dot == std::string::npos ? "localdomain" : full.substr(dot + 1), true};
  }
  return std::nullopt;
}

ParameterLoader::Definition ParameterLoader::from_defaults(std::string_view name) {
  if (const ParameterInfo* const row = find_parameter(name)) {
    return Scope::Definition{std::string(row->default_text)};
  }
  if (main_) {
    auto value = main_->value(name);
    if (!value) return tl::unexpected(value.error());
    std::optional<std::string>& defined = *value;
    if (!defined) return std::nullopt;
    return Scope::Definition{std::move(*defined), true};
  }
  // Without the main.cf of an old Postfix there is no compatibility to keep.
  if (name == "compatibility_level") return Scope::Definition{"3.6", true};
  if (name == "config_directory") return Scope::Definition{"/etc/postfix", true};
  if (const auto known = postfix_default(name)) return Scope::Definition{std::string(*known)};
  return std::nullopt;
}

// A parameter that main.cf sets and that is not ours alone; smtpd's are no parameters here, but
// `$name` in lmtpd.cf may refer to any.
bool ParameterLoader::set_in_main(std::string_view name) const {
  if (!main_ || main_->find(name) == nullptr) return false;
  const ParameterInfo* const row = find_parameter(name);
  return row == nullptr || row->owner == Owner::postfix;
}

bool ParameterLoader::domain_is_set() const {
  return own_->find("mydomain") != nullptr || set_in_main("mydomain");
}

// An unknown name that nothing refers to is most likely misspelt.
void ParameterLoader::check_names() {
  std::set<std::string, std::less<>> used;
  const auto note_names = [&](std::string_view text) {
    const auto names = references(text);
    if (names) used.insert(names->begin(), names->end());
  };
  for (const Assignment& assignment : own_->assignments()) {
    note_names(assignment.value);
  }
  for (const ParameterInfo& row : kParameters) note_names(row.default_text);
  for (const Assignment& assignment : own_->assignments()) {
    if (find_parameter(assignment.name) != nullptr) continue;
    if (!used.contains(assignment.name)) {
      complain(assignment.name, "unknown parameter, and no value refers to it");
    } else if (const auto value = own_->value(assignment.name); !value) {
      complain(assignment.name, value.error());
    }
  }
}

ParameterLoader::Value ParameterLoader::evaluate(const ParameterInfo& row) {
  Value value{.origin = origin(row.name)};
  const auto found = own_->value(row.name);
  if (!found) {
    complain(row.name, found.error());
    return value;
  }
  value.text = found->value_or("");
  if (row.name == "myorigin" && value.text.starts_with('/')) {
    auto first = first_line(value.text);
    if (!first) {
      complain(row.name, first.error());
      return value;
    }
    value.text = std::move(*first);
  }
  if (value.text.empty() && (row.name == "myhostname" || row.name == "mydomain")) {
    complain(row.name, "must not be empty; leave it out for the default");
  }
  if (own_->find(row.name) != nullptr || set_in_main(row.name)) {
    const auto usual = default_of(row);
    value.changed = !usual || *usual != value.text;
  }
  return value;
}

Expanded<std::string> ParameterLoader::default_of(const ParameterInfo& row) {
  if (row.name != "myhostname" && row.name != "mydomain") return own_->expanded(row.default_text);
  const auto usual = from_host(*own_, row.name, domain_is_set());
  if (!usual) return tl::unexpected(usual.error());
  return usual->value_or(Scope::Definition{}).text;
}

// Debian's Postfix reads a myorigin with a slash at its start from that file.
Expanded<std::string> ParameterLoader::first_line(const std::string& path) {
  const auto text = read_file_(path);
  if (!text) return tl::unexpected(text.error().text);
  std::string first = text->substr(0, text->find('\n'));
  first.erase(0, first.find_first_not_of(" \t\r"));
  first.erase(first.find_last_not_of(" \t\r") + 1);
  if (first.empty()) return tl::unexpected(path + ": its first line is empty");
  return first;
}

std::string ParameterLoader::origin(std::string_view name) const {
  if (const Assignment* const own = own_->find(name)) return own_->origin(*own);
  if (set_in_main(name)) return main_->origin(*main_->find(name));
  return own_->path();
}

void ParameterLoader::complain(std::string_view name, std::string_view what) {
  complaints_.add(fmt::format("{}: {}", origin(name), name), what);
}

}  // namespace lmtpd
