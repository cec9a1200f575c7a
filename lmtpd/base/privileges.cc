#include "lmtpd/base/privileges.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <string>
#include <string_view>

#include "lmtpd/base/log.h"
#include "lmtpd/base/unique_fd.h"

#ifdef LMTPD_SANITIZED
// LeakSanitizer reads /proc when a process ends, and fails it where a Landlock domain forbids that.
// It asks this beforehand.
namespace {
bool g_is_confined = false;
}
extern "C" int __lsan_is_turned_off();  // NOLINT(bugprone-reserved-identifier)
extern "C" int __lsan_is_turned_off() { return g_is_confined ? 1 : 0; }
#endif

namespace lmtpd {
namespace {

tl::unexpected<Error> failed(std::string_view call) {
  return fail(Reason::io, errno_text(call, errno));
}

// ---- become

Result<void> drop_capabilities() {
  // setresuid(2) has emptied the permitted, effective and ambient sets, but not the inheritable
  // one.
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) return failed("capset");
  return {};
}

Result<std::string> read_status() {
  const UniqueFd file(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  if (!file) return failed("open /proc/self/status");
  std::string text;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read /proc/self/status");
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

// The line `name`, without trailing blanks; nullopt if there is none.
std::optional<std::string_view> field(std::string_view status, std::string_view name) {
  const std::string start = fmt::format("\n{}:\t", name);
  const std::size_t at = status.find(start);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view value = status.substr(at + start.size());
  value = value.substr(0, value.find('\n'));
  while (value.ends_with(' ')) value.remove_suffix(1);
  return value;
}

Result<void> prove_status(MailboxOwner owner) {
  const Result<std::string> status = read_status();
  if (!status) return tl::unexpected(status.error());
  const std::string uid = std::to_string(owner.uid.value());
  const std::string gid = std::to_string(owner.gid.value());
  const std::string no_capability(16, '0');
  struct Expected {
    std::string_view name;
    std::string value;
  };
  const std::array expected{Expected{"Uid", fmt::format("{0}\t{0}\t{0}\t{0}", uid)},
                            Expected{"Gid", fmt::format("{0}\t{0}\t{0}\t{0}", gid)},
                            Expected{"Groups", ""},
                            Expected{"CapInh", no_capability},
                            Expected{"CapPrm", no_capability},
                            Expected{"CapEff", no_capability},
                            Expected{"CapAmb", no_capability}};
  for (const Expected& line : expected) {
    const std::optional<std::string_view> shown = field(*status, line.name);
    if (shown != line.value) {
      return fail(Reason::io, fmt::format("after the drop to {}:{}, /proc/self/status shows {}: {}",
                                          uid, gid, line.name, shown.value_or("nothing")));
    }
  }
  return {};
}

// ---- Landlock

// What the headers of the oldest kernel that we build on do not have (uapi/linux/landlock.h).
constexpr std::uint64_t kFsTruncate = 1ULL << 14;  // ABI 3
constexpr std::uint64_t kFsIoctlDev = 1ULL << 15;  // ABI 5
constexpr std::uint64_t kNetBindTcp = 1ULL << 0;   // ABI 4
constexpr std::uint64_t kNetConnectTcp = 1ULL << 1;
constexpr std::uint64_t kScopeAbstractUnixSocket = 1ULL << 0;  // ABI 6
constexpr std::uint64_t kScopeSignal = 1ULL << 1;

struct RulesetAttributes {
  std::uint64_t handled_access_fs;
  std::uint64_t handled_access_net;
  std::uint64_t scoped;
};

// What openat, mkdirat, linkat and unlinkat of maildir/ need. REFER: a link between directories.
constexpr std::uint64_t kDelivery = LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REFER;

RulesetAttributes handled_at(long abi) {
  RulesetAttributes handled{};
  // All of ABI 1, and REFER.
  handled.handled_access_fs = (LANDLOCK_ACCESS_FS_REFER << 1) - 1;
  if (abi >= 3) handled.handled_access_fs |= kFsTruncate;
  if (abi >= 4) handled.handled_access_net = kNetBindTcp | kNetConnectTcp;
  if (abi >= 5) handled.handled_access_fs |= kFsIoctlDev;
  if (abi >= 6) handled.scoped = kScopeAbstractUnixSocket | kScopeSignal;
  return handled;
}

// With the one rule, or without any where `directory` is -1. Needs no_new_privs.
Result<Confinement> confine(int directory) {
  const long abi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 2) {
    // ENOSYS: not built in; EOPNOTSUPP: disabled at boot.
    if (abi < 0 && errno != ENOSYS && errno != EOPNOTSUPP) return failed("landlock_create_ruleset");
    return Confinement::not_available;
  }
  const RulesetAttributes handled = handled_at(abi);
  // An older kernel takes a longer structure as long as what it does not know is zero.
  const UniqueFd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0)));
  if (!ruleset) return failed("landlock_create_ruleset");
  if (directory >= 0) {
    landlock_path_beneath_attr rule{};
    rule.allowed_access = kDelivery;
    rule.parent_fd = directory;
    if (::syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) !=
        0) {
      return failed("landlock_add_rule");
    }
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return failed("landlock_restrict_self");
  }
#ifdef LMTPD_SANITIZED
  g_is_confined = true;
#endif
  return Confinement::confined;
}

}  // namespace

Result<void> become(MailboxOwner owner) {
  const uid_t uid = owner.uid.value();
  const gid_t gid = owner.gid.value();
  constexpr std::uint32_t kNobody = UINT32_MAX;  // setresuid(2): leave as it is
  if (uid == 0 || gid == 0 || uid == kNobody || gid == kNobody) {
    return fail(Reason::io, fmt::format("refusing to run as uid {}, gid {}", uid, gid));
  }
  if (::setgroups(0, nullptr) != 0) return failed("setgroups");
  if (::setresgid(gid, gid, gid) != 0) return failed("setresgid");
  if (::setresuid(uid, uid, uid) != 0) return failed("setresuid");
  Result<void> dropped = drop_capabilities();
  if (!dropped) return dropped;

  if (::setuid(0) == 0 || ::setgid(0) == 0) {
    return fail(Reason::io, fmt::format("uid {} could become root again", uid));
  }
  Result<void> proven = prove_status(owner);
  if (!proven) return proven;
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return failed("prctl PR_SET_DUMPABLE");
  return {};
}

Result<void> forbid_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("prctl PR_SET_NO_NEW_PRIVS");
  return {};
}

Result<Confinement> confine_to(int directory) { return confine(directory); }

Result<Confinement> confine_to_no_files() { return confine(-1); }

}  // namespace lmtpd
