#include "lmtpd/base/privileges.h"

#include <gmock/gmock.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include <csignal>
#include <initializer_list>
#include <sstream>

#include "tests/maildir/mail_base.h"

namespace lmtpd {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::kBob;

class PrivilegesTest : public testing::MailBase {
 protected:
  // What `body` returns, run as root in a process that it may spoil.
  static std::string apart(const std::function<std::string()>& body) {
    return as_owner(MailboxOwner{Uid(0), Gid(0)}, body);
  }
  static std::string told(const Result<void>& result) {
    return result ? "done" : result.error().text;
  }
  static std::string told(const Result<Confinement>& result) {
    if (!result) return result.error().text;
    return *result == Confinement::confined ? "confined" : "not available";
  }
  // In braces, so that the steps are taken in the order in which they stand.
  static std::string in_order(std::initializer_list<std::string> steps) {
    std::string said;
    for (const std::string& step : steps) said += (said.empty() ? "" : ", ") + step;
    return said;
  }
  static std::string errno_or(bool success, const char* name) {
    return success ? name : std::string(name) + ": " + ::strerrorname_np(errno);
  }
  static bool has_landlock() {
    return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 2;
  }
};

TEST_F(PrivilegesTest, AreGoneForEver) {
  const std::string told_by_child = apart([] {
    const std::array<gid_t, 2> groups{4, 27};
    if (::setgroups(groups.size(), groups.data()) != 0) return std::string("setgroups");
    std::string said = told(become(kBob)) + "\n";
    said += errno_or(::setuid(0) == 0, "setuid") + "\n";
    said += errno_or(::setresuid(0, 0, 0) == 0, "setresuid") + "\n";
    said += errno_or(::setgid(0) == 0, "setgid") + "\n";
    said += errno_or(::setgroups(groups.size(), groups.data()) == 0, "setgroups") + "\n";
    said += "dumpable: " + std::to_string(::prctl(PR_GET_DUMPABLE)) + "\n";
    std::ifstream status("/proc/self/status");
    std::stringstream text;
    text << status.rdbuf();
    return said + text.str();
  });
  EXPECT_THAT(
      told_by_child,
      AllOf(HasSubstr("done\nsetuid: EPERM\nsetresuid: EPERM\nsetgid: EPERM\n"
                      "setgroups: EPERM\ndumpable: 0\n"),
            HasSubstr("\nUid:\t61002\t61002\t61002\t61002\n"),
            HasSubstr("\nGid:\t61002\t61002\t61002\t61002\n"), HasSubstr("\nGroups:\t \n"),
            HasSubstr("\nCapPrm:\t0000000000000000\n"), HasSubstr("\nCapInh:\t0000000000000000\n"),
            HasSubstr("\nCapEff:\t0000000000000000\n"),
            HasSubstr("\nCapAmb:\t0000000000000000\n")));
}

TEST_F(PrivilegesTest, AreNotKeptAcrossTheChangeOfUid) {
  // With PR_SET_KEEPCAPS the permitted set outlives setresuid(2).
  EXPECT_EQ(apart([] {
              if (::prctl(PR_SET_KEEPCAPS, 1) != 0) return std::string("prctl");
              return in_order({told(become(kBob)), errno_or(::setuid(0) == 0, "setuid")});
            }),
            "done, setuid: EPERM");
}

TEST_F(PrivilegesTest, NobodyServesAsRoot) {
  const auto become_text = [](std::uint32_t uid, std::uint32_t gid) {
    return apart([&] { return told(become(MailboxOwner{Uid(uid), Gid(gid)})); });
  };
  EXPECT_EQ(become_text(0, 1000), "refusing to run as uid 0, gid 1000");
  EXPECT_EQ(become_text(1000, 0), "refusing to run as uid 1000, gid 0");
  EXPECT_EQ(become_text(UINT32_MAX, 5), "refusing to run as uid 4294967295, gid 5");
  EXPECT_EQ(become_text(5, UINT32_MAX), "refusing to run as uid 5, gid 4294967295");
}

TEST_F(PrivilegesTest, AreDroppedByRootOnly) {
  EXPECT_EQ(as_owner(kBob, [] { return told(become(testing::kAlice)); }),
            "setgroups: Operation not permitted");
}

TEST_F(PrivilegesTest, AProcessOfTheSameUidCannotTraceIt) {
  std::array<int, 2> ready{};
  ASSERT_EQ(::pipe(ready.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const char answer = become(kBob) ? 'y' : 'n';
    if (::write(ready[1], &answer, 1) != 1) ::_exit(1);
    ::pause();
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  EXPECT_EQ(as_owner(kBob,
                     [&] {
                       return errno_or(::ptrace(PTRACE_ATTACH, child, nullptr, nullptr) == 0,
                                       "ptrace");
                     }),
            "ptrace: EPERM");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (const int end : ready) ::close(end);
}

TEST_F(PrivilegesTest, NoNewOnesComeFromAProgram) {
  EXPECT_EQ(apart([] {
              return in_order({told(forbid_new_privileges()),
                               std::to_string(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0))});
            }),
            "done, 1");
}

TEST_F(PrivilegesTest, TheMailBaseIsAllThatIsLeftOfTheDisk) {
  if (!has_landlock()) GTEST_SKIP() << "this kernel has no Landlock of ABI 2";
  make_maildir("bob", kBob);
  ASSERT_EQ(::chown(at("bob").c_str(), kBob.uid.value(), kBob.gid.value()), 0);
  EXPECT_EQ(
      apart([&] {
        const UniqueFd base = open_base();
        std::string said = in_order({told(become(kBob)), told(forbid_new_privileges()),
                                     told(confine_to(base.get()))}) +
                           "\n";
        const std::string tmp = at("bob/tmp/m");
        said +=
            errno_or(::open(tmp.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600) >= 0, "create") + "\n";
        said += errno_or(::link(tmp.c_str(), at("bob/new/m").c_str()) == 0, "link") + "\n";
        said += errno_or(::unlink(tmp.c_str()) == 0, "unlink") + "\n";
        said += errno_or(::mkdir(at("bob/sub").c_str(), 0700) == 0, "mkdir") + "\n";
        const UniqueFd dir(::open(at("bob/new").c_str(), O_RDONLY | O_DIRECTORY));
        said += errno_or(dir && ::fsync(dir.get()) == 0, "fsync") + "\n";
        said += errno_or(::open(at("bob/new/m").c_str(), O_RDONLY) >= 0, "read mail") + "\n";
        said += errno_or(::open("/etc/passwd", O_RDONLY) >= 0, "read passwd") + "\n";
        said += errno_or(::open("/tmp", O_RDONLY | O_DIRECTORY) >= 0, "list") + "\n";
        said += errno_or(::open("/tmp/x.lmtpd", O_WRONLY | O_CREAT, 0600) >= 0, "create outside") +
                "\n";
        said += errno_or(::execl("/bin/true", "true", nullptr) == 0, "execute");
        return said;
      }),
      "done, done, confined\n"
      "create\nlink\nunlink\nmkdir\nfsync\nread mail: EACCES\nread passwd: EACCES\nlist: EACCES\n"
      "create outside: EACCES\nexecute: EACCES");
}

TEST_F(PrivilegesTest, ADomainWithoutFilesKeepsWhatIsOpen) {
  if (!has_landlock()) GTEST_SKIP() << "this kernel has no Landlock of ABI 2";
  EXPECT_EQ(apart([&] {
              const UniqueFd log(::open(at("log").c_str(), O_WRONLY | O_CREAT, 0600));
              std::string said =
                  in_order({told(forbid_new_privileges()), told(confine_to_no_files())}) + "\n";
              said += errno_or(::write(log.get(), "x", 1) == 1, "write") + "\n";
              said += errno_or(::open(at("log").c_str(), O_WRONLY) >= 0, "open") + "\n";
              said += errno_or(::mkdir(at("dir").c_str(), 0700) == 0, "mkdir");
              return said;
            }),
            "done, confined\nwrite\nopen: EACCES\nmkdir: EACCES");
}

}  // namespace
}  // namespace lmtpd
