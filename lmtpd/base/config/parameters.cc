// Names are found, for lmtpd.cf: in lmtpd.cf, in main.cf where one is read, in our defaults, in
// Postfix's; for main.cf: in main.cf, in Postfix's defaults.
#include "lmtpd/base/config/parameters.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <memory>
#include <optional>
#include <set>

#include "lmtpd/base/config/cf_file.h"
#include "lmtpd/base/config/complaints.h"
#include "lmtpd/base/config/parameter_table.h"
#include "lmtpd/base/config/scope.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/unique_fd.h"
#include "lmtpd/base/wire.h"

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

constexpr std::size_t kLongestFile = 4 * 1024 * 1024;

Result<std::string> read_from_disk(const std::string& path) {
  const auto failure = [&] { return fail(Reason::lookup_failed, errno_text(path, errno)); };
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return failure();
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return failure();
  if (!S_ISREG(status.st_mode)) return fail(Reason::lookup_failed, path + ": not a plain file");
  std::string text;
  std::array<char, 16384> chunk{};
  for (;;) {
    const ssize_t got = ::read(file.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure();
    if (got == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(got));
    if (text.size() > kLongestFile) {
      return fail(Reason::lookup_failed,
                  fmt::format("{}: longer than {} octets", path, kLongestFile));
    }
  }
}

std::string own_host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

// What an empty $myhostname and $mydomain stand for (Postfix's check_myhostname,
// check_mydomainname).
Expanded<std::optional<Scope::Definition>> host_fallback(Scope& scope, std::string_view name,
                                                         const std::string& host_name,
                                                         bool domain_is_set) {
  if (name == "myhostname") {
    if (host_name.find('.') != std::string::npos) return Scope::Definition{host_name, true};
    std::string domain = "localdomain";
    if (domain_is_set) {
      const auto set = scope.value("mydomain");
      if (!set) return tl::unexpected(set.error());
      domain = set->value_or("localdomain");
    }
    return Scope::Definition{host_name + "." + domain, true};
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

// One configuration being read; done once Parameters stand.
class Loader {
 public:
  Loader(const Parameters::ReadFile& read_file, const std::string& host_name)
      : read_file_(read_file), host_name_(host_name) {}

  struct Value {
    std::string text;
    std::string origin;
    bool changed = false;
  };

  // The values of all parameters in kParameters' order, or none: see complaints().
  std::vector<Value> load(const std::string& path) {
    own_ = read_scope(path);
    if (!own_) return {};
    const auto directory = own_->expanded(text_of("postfix_config_directory"));
    if (!directory) {
      complain("postfix_config_directory", directory.error());
    } else if (!directory->empty()) {
      read_main(*directory);
    }
    add_own_fallbacks();
    check_names();
    std::vector<Value> values;
    for (const ParameterInfo& row : kParameters) values.push_back(evaluate(row));
    return values;
  }

  [[nodiscard]] const Complaints& complaints() const { return complaints_; }
  [[nodiscard]] std::vector<std::string> take_warnings() { return std::move(warnings_); }

 private:
  std::unique_ptr<Scope> read_scope(const std::string& path) {
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

  void read_main(const std::string& directory) {
    if (!directory.starts_with('/')) {
      complain("postfix_config_directory", "must be an absolute path");
      return;
    }
    main_ = read_scope(directory + "/main.cf");
    if (!main_) return;
    main_->add_fallback([this](std::string_view name) {
      return host_fallback(*main_, name, host_name_, main_->find("mydomain") != nullptr);
    });
    main_->add_fallback(
        [directory](std::string_view name) -> Expanded<std::optional<Scope::Definition>> {
          if (name == "config_directory") return Scope::Definition{directory, true};
          if (const auto known = postfix_default(name)) {
            return Scope::Definition{std::string(*known)};
          }
          return std::nullopt;
        });
  }

  void add_own_fallbacks() {
    own_->add_fallback([this](std::string_view name) -> Expanded<std::optional<Scope::Definition>> {
      if (!set_in_main(name)) return std::nullopt;
      auto value = main_->value(name);
      if (!value) return tl::unexpected(value.error());
      return Scope::Definition{value->value_or(""), true};
    });
    own_->add_fallback([this](std::string_view name) {
      return host_fallback(*own_, name, host_name_,
                           own_->find("mydomain") != nullptr || set_in_main("mydomain"));
    });
    own_->add_fallback([this](std::string_view name) -> Expanded<std::optional<Scope::Definition>> {
      if (const ParameterInfo* const row = find_parameter(name)) {
        return Scope::Definition{std::string(row->default_text)};
      }
      if (main_) {
        auto value = main_->value(name);
        if (!value) return tl::unexpected(value.error());
        if (!*value) return std::nullopt;
        return Scope::Definition{std::move(**value), true};
      }
      // Without a main.cf of an old Postfix there is no compatibility to keep.
      if (name == "compatibility_level") return Scope::Definition{"3.6", true};
      if (name == "config_directory") return Scope::Definition{"/etc/postfix", true};
      if (const auto known = postfix_default(name)) {
        return Scope::Definition{std::string(*known)};
      }
      return std::nullopt;
    });
  }

  // A parameter that main.cf sets. smtpd's own parameters and mynetworks are no parameters of ours;
  // a
  // `$name` in lmtpd.cf may still refer to any.
  [[nodiscard]] bool set_in_main(std::string_view name) const {
    if (!main_ || main_->find(name) == nullptr) return false;
    const ParameterInfo* const row = find_parameter(name);
    return row == nullptr || row->owner == Owner::postfix;
  }

  // An unknown name that nothing refers to is most likely misspelt.
  void check_names() {
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

  Value evaluate(const ParameterInfo& row) {
    Value value{.origin = origin(row.name)};
    auto text = own_->value(row.name);
    if (text && row.name == "myorigin") text = origin_from_file(**text);
    if (text && (row.name == "myhostname" || row.name == "mydomain") && (*text)->empty()) {
      complain(row.name, "must not be empty; leave it out for the default");
    }
    if (!text) {
      complain(row.name, text.error());
      return value;
    }
    value.text = std::move(**text);
    if (own_->find(row.name) != nullptr || set_in_main(row.name)) {
      const auto usual = default_of(row);
      value.changed = !usual || *usual != value.text;
    }
    return value;
  }

  Expanded<std::string> default_of(const ParameterInfo& row) {
    if (row.name == "myhostname" || row.name == "mydomain") {
      auto usual = host_fallback(*own_, row.name, host_name_,
                                 own_->find("mydomain") != nullptr || set_in_main("mydomain"));
      if (!usual) return tl::unexpected(usual.error());
      return (*usual)->text;
    }
    return own_->expanded(row.default_text);
  }

  // Debian's Postfix reads a myorigin with a slash at its start from that file.
  Expanded<std::optional<std::string>> origin_from_file(const std::string& value) {
    if (!value.starts_with('/')) return value;
    const auto text = read_file_(value);
    if (!text) return tl::unexpected(text.error().text);
    std::string first = text->substr(0, text->find('\n'));
    first.erase(0, first.find_first_not_of(" \t\r"));
    first.erase(first.find_last_not_of(" \t\r") + 1);
    if (first.empty()) return tl::unexpected(value + ": its first line is empty");
    return first;
  }

  [[nodiscard]] std::string_view text_of(std::string_view name) const {
    const Assignment* const own = own_->find(name);
    return own != nullptr ? std::string_view(own->value) : find_parameter(name)->default_text;
  }

  [[nodiscard]] std::string origin(std::string_view name) const {
    if (const Assignment* const own = own_->find(name)) return own_->origin(*own);
    if (set_in_main(name)) return main_->origin(*main_->find(name));
    return own_->path();
  }

  void complain(std::string_view name, std::string_view what) {
    complaints_.add(fmt::format("{}: {}", origin(name), name), what);
  }

  const Parameters::ReadFile& read_file_;
  const std::string& host_name_;
  std::unique_ptr<Scope> own_;
  std::unique_ptr<Scope> main_;  // null: none is read
  Complaints complaints_;
  std::vector<std::string> warnings_;
};

// What crosses a channel.
struct WireEntry {
  std::string name;
  std::string value;
  std::string origin;
  bool changed = false;
  static void fields(auto& self, auto&& field) {
    field(self.name, self.value, self.origin, self.changed);
  }
};
struct WireParameters {
  std::vector<WireEntry> entries;
  static void fields(auto& self, auto&& field) { field(self.entries); }
};

}  // namespace

Result<Parameters> Parameters::load(const std::string& path) {
  return load(path, read_from_disk, own_host_name());
}

Result<Parameters> Parameters::load(const std::string& path, const ReadFile& read_file,
                                    const std::string& host_name) {
  Loader loader(read_file, host_name);
  std::vector<Loader::Value> values = loader.load(path);
  if (!loader.complaints().empty()) return loader.complaints().as_failure();
  assert(values.size() == kParameters.size());
  Parameters parameters;
  for (std::size_t i = 0; i < values.size(); ++i) {
    Loader::Value& value = values[i];
    parameters.entries_.emplace(
        kParameters[i].name, Entry{std::move(value.text), std::move(value.origin), value.changed});
  }
  parameters.warnings_ = loader.take_warnings();
  return parameters;
}

std::string Parameters::serialise() const {
  WireParameters wire;
  for (const auto& [name, entry] : entries_) {
    wire.entries.push_back({name, entry.value, entry.origin, entry.changed});
  }
  return encode(wire);
}

Result<Parameters> Parameters::deserialise(std::string_view text) {
  auto wire = decode<WireParameters>(text);
  Parameters parameters;
  if (wire) {
    for (WireEntry& entry : wire->entries) {
      if (find_parameter(entry.name) == nullptr) continue;
      parameters.entries_.emplace(
          std::move(entry.name),
          Entry{std::move(entry.value), std::move(entry.origin), entry.changed});
    }
  }
  if (!wire || wire->entries.size() != kParameters.size() ||
      parameters.entries_.size() != kParameters.size()) {
    return fail(Reason::lookup_failed, "the parameters are not those of this build");
  }
  return parameters;
}

const std::string& Parameters::value(std::string_view name) const {
  const auto found = entries_.find(name);
  assert(found != entries_.end());
  return found->second.value;
}

const std::string& Parameters::origin(std::string_view name) const {
  const auto found = entries_.find(name);
  assert(found != entries_.end());
  return found->second.origin;
}

std::string Parameters::changed() const {
  std::string out;
  for (const auto& [name, entry] : entries_) {
    if (!entry.changed) continue;
    out += name;
    out += entry.value.empty() ? " =" : " = ";
    for (const char c : entry.value) {
      if (c == '$') out += '$';
      out += c;
    }
    out += '\n';
  }
  return out;
}

}  // namespace lmtpd
