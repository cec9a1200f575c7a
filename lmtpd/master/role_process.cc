#include "lmtpd/master/role_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "lmtpd/base/log.h"
#include "lmtpd/base/role_start.h"
#include "lmtpd/master/left_children.h"

namespace lmtpd::master {
namespace {

// Packets of one role in one turn, so that none keeps the others waiting.
constexpr int kPacketsATurn = 32;

// All that a role gets of master's environment.
constexpr std::array<const char*, 6> kKept = {
    "TZ", "JOURNAL_STREAM", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS",
};

std::vector<std::string> role_environment() {
  std::vector<std::string> environment = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  for (const char* name : kKept) {
    if (const char* value = std::getenv(name))
      environment.push_back(fmt::format("{}={}", name, value));
  }
  return environment;
}

void reset_signals() {
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

bool still_there(const RoleProgram& program) {
  struct stat opened{};
  struct stat found{};
  return ::fstat(program.fd.get(), &opened) == 0 && ::stat(program.path.c_str(), &found) == 0 &&
         opened.st_dev == found.st_dev && opened.st_ino == found.st_ino;
}

[[noreturn]] void become_role(const RoleProgram& program, const std::string& title, int control) {
  ::setsid();
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  // dup2 of a descriptor onto itself would leave it close-on-exec.
  if (control == kControlFd ? ::fcntl(control, F_SETFD, 0) != 0 : ::dup2(control, kControlFd) < 0) {
    ::_exit(EXIT_FAILURE);
  }
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0 || ::dup2(null, STDOUT_FILENO) < 0 ||
      ::close_range(kControlFd + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    ::_exit(EXIT_FAILURE);
  }
  reset_signals();

  std::string name = fmt::format("{}: {}", program.name, title);
  std::array<char*, 2> arguments = {name.data(), nullptr};
  std::vector<std::string> environment = role_environment();
  std::vector<char*> pointers;
  for (std::string& variable : environment) pointers.push_back(variable.data());
  pointers.push_back(nullptr);
  // By its path the process gets the program's name, which kernels before 6.14 do not give it
  // otherwise.
  if (still_there(program)) ::execve(program.path.c_str(), arguments.data(), pointers.data());
  ::fexecve(program.fd.get(), arguments.data(), pointers.data());
  log_error("{}", errno_text("executing " + program.name, errno));
  ::_exit(EXIT_FAILURE);
}

}  // namespace

Result<std::unique_ptr<RoleProcess>> RoleProcess::launch(const RoleProgram& program,
                                                         std::string title) {
  std::optional<std::pair<UniqueFd, UniqueFd>> control = make_channel_pair();
  if (!control) return fail(Reason::io, errno_text(title + ": control channel", errno));
  const pid_t pid = ::fork();
  if (pid < 0) return fail(Reason::io, errno_text(title + ": fork", errno));
  if (pid == 0) become_role(program, title, control->second.get());
  // The constructor is private.
  return std::unique_ptr<RoleProcess>(
      new RoleProcess(std::move(title), pid, std::move(control->first)));
}

RoleProcess::~RoleProcess() {
  if (!status_) leave_child(pid_);
}

void RoleProcess::introduce(const Introduce& introduction, UniqueFd channel) {
  if (!ready_) {
    std::erase_if(introductions_, [&introduction](const Introduction& kept) {
      return kept.message.kind == introduction.kind &&
             kept.message.instance == introduction.instance &&
             kept.message.owner == introduction.owner;
    });
    introductions_.push_back({introduction, std::move(channel)});
    return;
  }
  std::vector<UniqueFd> descriptors;
  descriptors.push_back(std::move(channel));
  tell(introduction, std::move(descriptors));
}

void RoleProcess::set_ready() {
  ready_ = true;
  for (Introduction& kept : introductions_) introduce(kept.message, std::move(kept.channel));
  introductions_.clear();
}

void RoleProcess::stop() {
  if (stopping_) return;
  if (!ready_) kill();
  tell(Stop{});
  stopping_ = true;
}

void RoleProcess::kill() {
  if (status_ || killed_) return;
  ::kill(pid_, SIGKILL);
  killed_ = true;
  // Peers see the end of channels that this role never read.
  introductions_.clear();
}

void RoleProcess::wait_in(PollSet& set, const OnFrame& on_frame) {
  if (status_ || killed_ || channel_ended_) return;
  if (const auto time = channel_.retry_at()) set.add_deadline(*time);
  set.add(channel_.fd(), channel_.events(), [this, &on_frame](short revents) {
    if ((revents & ~POLLOUT) != 0) receive(on_frame);
  });
}

void RoleProcess::receive(const OnFrame& on_frame) {
  Packet packet;
  for (int i = 0; i < kPacketsATurn; ++i) {
    const Channel::Status status = channel_.receive(packet);
    if (status == Channel::Status::would_block) return;
    if (status == Channel::Status::closed) {
      channel_ended_ = true;
      // The end of its process follows; a role that goes on without master does not obey it.
      if (!stopping_) kill();
      return;
    }
    for (Frame& frame : packet.frames()) {
      if (killed_) return;
      if (!on_frame(*this, frame)) {
        break_with(fmt::format("message of type {} that it may not send", frame.type));
        return;
      }
    }
  }
}

void RoleProcess::flush() {
  if (status_ || killed_ || channel_ended_) return;
  const Channel::Status status = channel_.flush();
  if (status == Channel::Status::ok) {
    unsent_ = 0;
  } else if (status != Channel::Status::no_memory && unsent_ > kLongestBacklog) {
    break_with("it does not read its control channel");
  }
}

void RoleProcess::break_with(const std::string& why) {
  log_error("{} (pid {}): {}: killed", title_, pid_, why);
  kill();
}

std::optional<int> RoleProcess::reap() {
  if (status_) return status_;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  return status_;
}

std::string status_text(int status) {
  if (WIFEXITED(status)) return fmt::format("exited with status {}", WEXITSTATUS(status));
  const int number = WTERMSIG(status);
  return fmt::format("killed by signal {} ({})", number, ::strsignal(number));
}

}  // namespace lmtpd::master
