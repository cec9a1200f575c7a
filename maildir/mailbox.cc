#include "maildir/mailbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "lmtpd/base/disk_error.h"
#include "lmtpd/base/log.h"
#include "maildir/open_beneath.h"

namespace lmtpd::maildir {
namespace {

constexpr mode_t kDirectoryMode = 0700;

Error open_error(const std::string& path, int error) {
  if (error == EXDEV) {
    return Error{
        Reason::no_access,
        fmt::format("{} leads out of virtual_mailbox_base: use a bind mount in place of the "
                    "symbolic link",
                    escaped(path))};
  }
  if (error == ENOENT) {
    return Error{Reason::no_access,
                 fmt::format("{} is missing though its name is taken (a symbolic link to nothing?)",
                             escaped(path))};
  }
  return disk_error("open " + escaped(path), error);
}

// What try_open() met: the path it failed at, and why.
struct Failure {
  std::string path;
  int error = 0;
};

tl::expected<OpenMailbox, Failure> try_open(int base, const std::string& path) {
  const std::string tmp = path + "/tmp";
  const std::string new_dir = path + "/new";
  OpenMailbox mailbox;
  mailbox.tmp = open_beneath(base, tmp, O_PATH);
  if (!mailbox.tmp) return tl::unexpected(Failure{tmp, errno});
  mailbox.new_dir = open_beneath(base, new_dir, O_RDONLY);
  if (!mailbox.new_dir) return tl::unexpected(Failure{new_dir, errno});
  struct stat cur{};
  if (::fstatat(mailbox.new_dir.get(), "../cur", &cur, AT_SYMLINK_NOFOLLOW) != 0) {
    return tl::unexpected(Failure{path + "/cur", errno});
  }
  return mailbox;
}

// One directory, which may be there already; then opened.
Result<UniqueFd> make_directory(int base, int parent, const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
  if (::mkdirat(parent, name.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
    return tl::unexpected(disk_error("mkdir " + escaped(path), errno));
  }
  UniqueFd made = open_beneath(base, path, O_PATH);
  if (!made) return tl::unexpected(open_error(path, errno));
  return made;
}

// The mailbox directory itself, made where its nearest existing parent is ours. An empty
// descriptor: it is missing, and that parent is not ours.
Result<UniqueFd> provide_directory(int base, const std::string& path) {
  std::size_t existing = path.size();
  UniqueFd directory = open_beneath(base, path, O_PATH);
  while (!directory) {
    if (errno != ENOENT) return tl::unexpected(open_error(path.substr(0, existing), errno));
    const std::size_t slash = path.rfind('/', existing - 1);
    existing = slash == std::string::npos ? 0 : slash;
    directory = open_beneath(base, existing == 0 ? "." : path.substr(0, existing), O_PATH);
    if (existing == 0 && !directory) {
      return tl::unexpected(disk_error("open virtual_mailbox_base", errno));
    }
  }
  if (existing == path.size()) return directory;

  struct stat parent{};
  if (::fstat(directory.get(), &parent) != 0) {
    return tl::unexpected(disk_error("stat " + escaped(path.substr(0, existing)), errno));
  }
  if (parent.st_uid != ::geteuid()) return UniqueFd();
  while (existing < path.size()) {
    const std::size_t start = existing == 0 ? 0 : existing + 1;
    const std::size_t end = std::min(path.find('/', start), path.size());
    Result<UniqueFd> made = make_directory(base, directory.get(), path.substr(0, end));
    if (!made) return made;
    directory = *std::move(made);
    existing = end;
  }
  return directory;
}

}  // namespace

Result<std::optional<OpenMailbox>> open_mailbox(int base, const MailboxPath& path) {
  auto mailbox = try_open(base, path.value());
  if (mailbox) return *std::move(mailbox);
  if (mailbox.error().error != ENOENT) {
    return tl::unexpected(open_error(mailbox.error().path, mailbox.error().error));
  }

  const Result<UniqueFd> directory = provide_directory(base, path.value());
  if (!directory) return tl::unexpected(directory.error());
  if (!*directory) return std::nullopt;
  for (const char* name : std::array{"tmp", "new", "cur"}) {
    if (::mkdirat(directory->get(), name, kDirectoryMode) != 0 && errno != EEXIST) {
      return tl::unexpected(
          disk_error(fmt::format("mkdir {}/{}", escaped(path.value()), name), errno));
    }
  }
  mailbox = try_open(base, path.value());
  if (mailbox) return *std::move(mailbox);
  return tl::unexpected(open_error(mailbox.error().path, mailbox.error().error));
}

}  // namespace lmtpd::maildir
