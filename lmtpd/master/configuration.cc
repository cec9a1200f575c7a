#include "lmtpd/master/configuration.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "lmtpd/base/accounts.h"
#include "lmtpd/base/channel.h"
#include "lmtpd/base/config/network_list.h"
#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/whole_file.h"
#include "lookup/files/match_list.h"
#include "lookup/files/table_files.h"

namespace lmtpd::master {
namespace {

// Configure's other fields, and room to spare.
constexpr std::size_t kLongestParameters = Channel::kMaxPayload - 1024;

std::string at(const Parameters& parameters, std::string_view name, std::string_view what) {
  return fmt::format("{}: {}: {}", parameters.origin(name), name, what);
}

StartResult<MailboxOwner> role_user(const Parameters& parameters, std::string_view name) {
  const std::string& user = parameters.value(name);
  const std::optional<MailboxOwner> found = find_user(user);
  if (!found) {
    return configuration_failure(
        at(parameters, name,
           fmt::format("user {} does not exist; make it with: useradd --system --user-group "
                       "--no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin {}",
                       user, user)));
  }
  if (found->uid == Uid(0) || found->gid == Gid(0)) {
    return configuration_failure(
        at(parameters, name, fmt::format("user {} has root's uid or gid", user)));
  }
  return *found;
}

StartResult<void> find_role_users(Configuration& made, const Parameters& parameters) {
  std::vector<std::pair<std::string_view, MailboxOwner*>> roles{
      {"frontend_user", &made.frontend_user}, {"lookup_user", &made.lookup_user}};
  if (!made.settings.commit_file_systems.empty()) roles.emplace_back("sync_user", &made.sync_user);
  for (auto role = roles.begin(); role != roles.end(); ++role) {
    const StartResult<MailboxOwner> found = role_user(parameters, role->first);
    if (!found) return tl::unexpected(found.error());
    const auto same = std::find_if(
        roles.begin(), role, [&](const auto& other) { return other.second->uid == found->uid; });
    if (same != role) {
      return configuration_failure(
          at(parameters, role->first,
             fmt::format("{} has the uid of {}: processes of one uid can take each other over",
                         parameters.value(role->first), same->first)));
    }
    *role->second = *found;
  }
  return {};
}

// Nobody's, where no unix socket is listened on: a machine without Postfix has no user postfix.
StartResult<MailboxOwner> listen_owner(const Parameters& parameters, const Settings& settings) {
  const auto is_unix = [](const ListenSpec& spec) {
    return spec.kind == ListenSpec::Kind::unix_socket;
  };
  if (std::ranges::none_of(settings.all_listeners(), is_unix)) return MailboxOwner{};
  const UserGroup& names = settings.listen_owner;
  const std::optional<MailboxOwner> user = find_user(names.user);
  const std::optional<Gid> group = find_group(names.group);
  if (!user) {
    return configuration_failure(
        at(parameters, "listen_owner", fmt::format("user {} does not exist", names.user)));
  }
  if (!group) {
    return configuration_failure(
        at(parameters, "listen_owner", fmt::format("group {} does not exist", names.group)));
  }
  return MailboxOwner{user->uid, *group};
}

StartResult<UniqueFd> open_mail_base(const Parameters& parameters, const std::string& path) {
  UniqueFd base(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (base) return base;
  return configuration_failure(
      at(parameters, "virtual_mailbox_base",
         errno_text(fmt::format("directory {}", path), errno) +
             "; it has to exist, owned by root and writable by root only"));
}

// Names the parameter that leads to the file, where one does by its own text.
std::string file_failure(const Parameters& parameters, const std::string& path,
                         std::string_view what) {
  for (const std::string_view name :
       {"virtual_mailbox_maps", "virtual_alias_maps", "virtual_uid_maps", "virtual_gid_maps",
        "virtual_mailbox_domains", "transport_maps", "auth_password_maps", "mydestination"}) {
    if (parameters.value(name).find(path) != std::string::npos) return at(parameters, name, what);
  }
  return std::string(what);
}

// Opens each file once, as root; a role that needs it gets a descriptor.
class FileOpener {
 public:
  // Fails with a text that names the file.
  Result<int> open(const std::string& path) {
    for (const Configuration::OpenFile& file : files_) {
      if (file.path == path) return file.fd.get();
    }
    // O_NONBLOCK: a FIFO in a file's place would hold the start up.
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status{};
    if (!fd || ::fstat(fd.get(), &status) != 0) return fail(Reason::io, errno_text(path, errno));
    if (!S_ISREG(status.st_mode)) {
      return fail(Reason::io, fmt::format("{}: not a regular file", path));
    }
    files_.push_back({path, std::move(fd)});
    return files_.back().fd.get();
  }

  Result<std::string> read(const std::string& path) {
    const Result<int> fd = open(path);
    if (!fd) return tl::unexpected(fd.error());
    return read_whole_file(path, *fd);
  }

  std::vector<Configuration::OpenFile> take() { return std::move(files_); }

 private:
  std::vector<Configuration::OpenFile> files_;
};

StartResult<void> open_files(Configuration& made, const Parameters& parameters) {
  FileOpener opener;
  const auto read = [&](const std::string& path) { return opener.read(path); };
  for (const MatchItem& source : sources_of(made.settings)) {
    const std::string& name =
        source.kind == MatchItem::Kind::file ? source.name : source.table.name;
    const Result<std::vector<std::string>> paths = lookup::files_of({source}, read);
    if (!paths) return configuration_failure(file_failure(parameters, name, paths.error().text));
    for (const std::string& path : *paths) {
      if (const Result<int> opened = opener.open(path); !opened) {
        return configuration_failure(file_failure(parameters, name, opened.error().text));
      }
    }
    if (std::optional<std::string> stale = lookup::stale_database(source.table)) {
      made.warnings.push_back(*std::move(stale));
    }
  }
  made.files = opener.take();
  return {};
}

const char* tls_parameter(const Settings& settings, const std::string& path) {
  if (path == settings.tls_cert_file) return "tls_cert_file";
  if (path == settings.tls_key_file) return "tls_key_file";
  if (path == settings.tls_client_ca) return "tls_client_ca";
  return "tls_chain_files";
}

// Lists are read here, too, so that what is wrong in them is said before anything changes; master
// knows no PEM, and a frontend that cannot use its files refuses the configuration.
StartResult<void> open_frontend_files(Configuration& made, const Parameters& parameters) {
  FileOpener opener;
  const Result<MatchList> trusted = lookup::with_files_read(
      made.settings.trusted_clients, [&](const std::string& path) { return opener.read(path); });
  if (!trusted) {
    return configuration_failure(at(parameters, "trusted_clients", trusted.error().text));
  }
  for (const std::string& path : made.settings.tls_files()) {
    if (const Result<int> opened = opener.open(path); !opened) {
      return configuration_failure(
          at(parameters, tls_parameter(made.settings, path), opened.error().text));
    }
  }
  if (const Result<NetworkList> networks = NetworkList::make(*trusted); !networks) {
    return configuration_failure(at(parameters, "trusted_clients", networks.error().text));
  }
  made.frontend_files = opener.take();
  return {};
}

}  // namespace

StartResult<Configuration> Configuration::load(const std::string& file) {
  const Result<Parameters> parameters = Parameters::load(file);
  if (!parameters) return configuration_failure(parameters.error().text);
  Result<Settings> settings = Settings::parse(*parameters);
  if (!settings) return configuration_failure(settings.error().text);

  Configuration made;
  made.settings = std::move(*settings);
  made.warnings = parameters->warnings();
  made.parameters = parameters->serialise();
  if (made.parameters.size() > kLongestParameters) {
    return configuration_failure(
        fmt::format("{}: the configuration is longer than {} octets", file, kLongestParameters));
  }

  if (StartResult<void> found = find_role_users(made, *parameters); !found) {
    return tl::unexpected(std::move(found.error()));
  }
  const StartResult<MailboxOwner> owner = listen_owner(*parameters, made.settings);
  if (!owner) return tl::unexpected(owner.error());
  made.socket_access = {*owner, made.settings.listen_mode};
  made.owner_policy = OwnerPolicy::of(made.settings);
  if (!made.settings.fsync) {
    made.warnings.push_back(
        at(*parameters, "fsync", "fsync = no: a crash loses mail that was acknowledged"));
  }

  StartResult<UniqueFd> base = open_mail_base(*parameters, made.settings.virtual_mailbox_base);
  if (!base) return tl::unexpected(std::move(base.error()));
  made.mail_base = std::move(*base);
  for (const auto open : {open_files, open_frontend_files}) {
    if (StartResult<void> opened = open(made, *parameters); !opened) {
      return tl::unexpected(std::move(opened.error()));
    }
  }
  return made;
}

const char* Configuration::needs_restart(const Configuration& running) const {
  if (frontend_user != running.frontend_user) return "frontend_user";
  if (lookup_user != running.lookup_user) return "lookup_user";
  const bool both_sync =
      !settings.commit_file_systems.empty() && !running.settings.commit_file_systems.empty();
  if (both_sync && sync_user != running.sync_user) return "sync_user";
  if (settings.queue_directory != running.settings.queue_directory) return "queue_directory";
  return nullptr;
}

}  // namespace lmtpd::master
