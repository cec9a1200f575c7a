#include "lmtpd/master/role_program.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <filesystem>

#include "lmtpd/base/log.h"

namespace lmtpd::master {
namespace {

constexpr int kOutOfTheWay = 10;

StartResult<RoleProgram> open_program(const std::filesystem::path& own_folder,
                                      const std::string& name) {
  for (const std::filesystem::path& folder : {own_folder, own_folder / "../libexec/lmtpd"}) {
    const std::filesystem::path path = folder / name;
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && errno == ENOENT) continue;
    RoleProgram program{name, path, UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kOutOfTheWay))};
    if (!program.fd) return system_failure(errno_text(path.string(), errno));
    return program;
  }
  return system_failure(fmt::format("{}: neither in {} nor in {}", name, own_folder.string(),
                                    (own_folder / "../libexec/lmtpd").lexically_normal().string()));
}

}  // namespace

StartResult<RolePrograms> RolePrograms::open() {
  std::error_code error;
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return system_failure("/proc/self/exe: " + error.message());
  StartResult<RoleProgram> frontend = open_program(own.parent_path(), "lmtpd-frontend");
  if (!frontend) return tl::unexpected(std::move(frontend.error()));
  StartResult<RoleProgram> lookup = open_program(own.parent_path(), "lmtpd-lookup");
  if (!lookup) return tl::unexpected(std::move(lookup.error()));
  StartResult<RoleProgram> worker = open_program(own.parent_path(), "lmtpd-worker");
  if (!worker) return tl::unexpected(std::move(worker.error()));
  StartResult<RoleProgram> committer = open_program(own.parent_path(), "lmtpd-committer");
  if (!committer) return tl::unexpected(std::move(committer.error()));
  return RolePrograms{std::move(*frontend), std::move(*lookup), std::move(*worker),
                      std::move(*committer)};
}

}  // namespace lmtpd::master
