#include "lmtpd/master/mailbox_requests.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "lmtpd/base/log.h"
#include "lmtpd/base/wire.h"
#include "lmtpd/master/left_children.h"
#include "lmtpd/master/role_process.h"

namespace lmtpd::master {
namespace {

// Fits into a pipe at once, so that the child never waits for master.
constexpr std::size_t kLongestWords = 2048;
constexpr std::size_t kLongestAnswer = kLongestWords + 64;

struct Answer {
  bool made = false;
  Reason reason = Reason::io;
  std::string_view text;
  static void fields(auto& self, auto&& field) { field(self.made, self.reason, self.text); }
};

// Keeps the base and the pipe, as descriptors 3 and 4, and nothing of master's: a channel that
// stayed open here would hide a role's death from its peers.
void keep_only(int base, int pipe) {
  const int kept_base = ::fcntl(base, F_DUPFD, 5);
  const int kept_pipe = ::fcntl(pipe, F_DUPFD, 5);
  if (kept_base < 0 || kept_pipe < 0 || ::dup2(kept_base, 3) < 0 || ::dup2(kept_pipe, 4) < 0 ||
      ::close_range(5, ~0U, 0) != 0) {
    ::_exit(EXIT_FAILURE);
  }
}

[[noreturn]] void run_child(const MailboxRequests::Make& make, int base, int pipe,
                            const MailboxRequests::Request& request) {
  ::setsid();
  keep_only(base, pipe);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const Result<void> made = make(3, request.path, request.owner);
  Answer answer{.made = made.has_value()};
  if (!made) {
    answer.reason = made.error().reason;
    answer.text = std::string_view(made.error().text).substr(0, kLongestWords);
  }
  const std::string octets = encode(answer);
  const bool sent = ::write(4, octets.data(), octets.size()) == static_cast<ssize_t>(octets.size());
  ::_exit(sent ? EXIT_SUCCESS : EXIT_FAILURE);
}

}  // namespace

MailboxRequests::~MailboxRequests() {
  for (const Child& child : children_) leave_child(child.pid);
}

void MailboxRequests::add(Request request, Clock::time_point now) {
  if (queue_.size() >= kMostQueued) {
    on_done_(request, fail(Reason::overload, "too many mailboxes wait to be made"));
    return;
  }
  queue_.push_back({std::move(request), now + kDeadline});
}

std::size_t MailboxRequests::open_of(pid_t worker) const {
  const auto waits = [worker](const Queued& item) { return item.request.worker == worker; };
  const auto is_made = [worker](const Child& child) {
    return child.request.worker == worker && !child.answered;
  };
  return static_cast<std::size_t>(std::ranges::count_if(queue_, waits) +
                                  std::ranges::count_if(children_, is_made));
}

bool MailboxRequests::may_start() const {
  return children_.size() < kMostProcesses &&
         static_cast<std::size_t>(std::ranges::count(children_, true, &Child::has_place)) <
             kMostChildren;
}

void MailboxRequests::start(Queued queued, Clock::time_point now) {
  const bool hangs = std::ranges::any_of(children_, [&queued](const Child& child) {
    return child.answered && child.request.path == queued.request.path;
  });
  if (hangs) {
    on_done_(queued.request, fail(Reason::io, "an earlier attempt to make the mailbox hangs"));
    return;
  }
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    on_done_(queued.request, fail(Reason::overload, errno_text("mailbox maker: pipe", errno)));
    return;
  }
  UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  const pid_t pid = ::fork();
  if (pid == 0) run_child(make_, base_, write_end.get(), queued.request);
  if (pid < 0) {
    on_done_(queued.request, fail(Reason::overload, errno_text("mailbox maker: fork", errno)));
    return;
  }
  children_.push_back(
      {std::move(queued.request), queued.until, now + kUsualTime, pid, std::move(read_end)});
}

void MailboxRequests::wait_in(PollSet& set) {
  for (const Child& child : children_) {
    if (!child.answered) set.add_deadline(child.until);
    if (child.has_place && !queue_.empty()) set.add_deadline(child.usual_until);
  }
  if (!queue_.empty()) set.add_deadline(queue_.front().until);
}

Result<void> MailboxRequests::read_answer(const Child& child, int status) {
  std::array<char, kLongestAnswer> octets{};
  const ssize_t got = ::read(child.answer.get(), octets.data(), octets.size());
  const std::optional<Answer> answer =
      got > 0 ? decode<Answer>({octets.data(), static_cast<std::size_t>(got)}) : std::nullopt;
  if (!answer) return fail(Reason::io, "mailbox maker: " + status_text(status));
  if (!answer->made) return fail(answer->reason, std::string(answer->text));
  return {};
}

void MailboxRequests::reap() {
  for (auto child = children_.begin(); child != children_.end();) {
    int status = 0;
    if (::waitpid(child->pid, &status, WNOHANG) != child->pid) {
      ++child;
      continue;
    }
    if (!child->answered) on_done_(child->request, read_answer(*child, status));
    child = children_.erase(child);
  }
}

void MailboxRequests::advance(Clock::time_point now) {
  for (Child& child : children_) {
    if (now >= child.usual_until) child.has_place = false;
    if (child.answered || now < child.until) continue;
    log_error("making mailbox {} took longer than {} s: killed",
              escaped(child.request.path.value()), kDeadline.count());
    ::kill(child.pid, SIGKILL);
    child.answered = true;
    on_done_(child.request, fail(Reason::io, "making the mailbox took too long"));
  }
  while (!queue_.empty() && now >= queue_.front().until) {
    on_done_(queue_.front().request,
             fail(Reason::overload, "the mailbox waited too long to be made"));
    queue_.pop_front();
  }
  while (!queue_.empty() && may_start()) {
    Queued next = std::move(queue_.front());
    queue_.pop_front();
    start(std::move(next), now);
  }
}

}  // namespace lmtpd::master
